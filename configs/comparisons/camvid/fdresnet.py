_base_ = './_fpn.py'
model = dict(
    backbone=dict(type='mmfreq.FDResNet', depth=18, out_indices=(0, 1, 2, 3)),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
