_base_ = './_upernet.py'
model = dict(
    backbone=dict(
        type='mmfreq.GFNet',
        arch=dict(embed_dims=_base_.embed_dims, depths=_base_.depths, patch_size=4),
        img_size=_base_.crop_size,
    )
)
