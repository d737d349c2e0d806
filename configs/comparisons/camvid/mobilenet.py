_base_ = './_fpn.py'
model = dict(
    backbone=dict(type='mmpretrain.MobileNetV2', out_indices=(1, 2, 4, 6)),
    neck=dict(in_channels=[24, 32, 96, 320]),
)
