_base_ = './_fpn.py'
model = dict(
    backbone=dict(type='mmpretrain.PoolFormer', arch='s12', out_indices=(0, 2, 4, 6)),
    neck=dict(in_channels=[64, 128, 320, 512]),
)
