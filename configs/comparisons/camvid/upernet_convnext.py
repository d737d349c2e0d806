_base_ = './_upernet.py'
model = dict(
    backbone=dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(channels=_base_.embed_dims, depths=_base_.depths),
        out_indices=(0, 1, 2, 3),
        gap_before_final_norm=False,
    )
)
