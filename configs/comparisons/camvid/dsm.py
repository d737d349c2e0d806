_base_ = './_atto.py'
model = dict(
    backbone=dict(
        type='mmfreq.DSM',
        arch=dict(embed_dims=_base_.embed_dims, depths=_base_.depths),
    )
)
