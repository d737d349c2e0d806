# Width and depth of ConvNeXt's "atto", for networks that take any.
_base_ = './_fpn.py'
embed_dims = [40, 80, 160, 320]
depths = [2, 2, 6, 2]
model = dict(neck=dict(in_channels=embed_dims))
