_base_ = './_fpn.py'
embed_dims = [48, 96, 192, 384]
model = dict(
    backbone=dict(
        type='mmpretrain.SwinTransformer',
        arch=dict(embed_dims=48, depths=[2, 2, 6, 2], num_heads=[2, 4, 8, 16]),
        img_size=_base_.crop_size,
        pad_small_map=True,
        out_indices=(0, 1, 2, 3),
    ),
    neck=dict(in_channels=embed_dims),
)
