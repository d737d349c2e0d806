_base_ = './_fpn.py'
embed_dims = [40, 80, 160, 320]
model = dict(
    backbone=dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[2, 2, 6, 2], channels=embed_dims),  # "atto"
        out_indices=(0, 1, 2, 3),
        gap_before_final_norm=False,
    ),
    neck=dict(in_channels=embed_dims),
)
