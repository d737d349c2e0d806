_base_ = './_atto.py'
model = dict(
    backbone=dict(
        type='mmfreq.VHeat',
        arch=dict(embed_dims=_base_.embed_dims, depths=_base_.depths),
        img_size=_base_.crop_size,
    )
)
