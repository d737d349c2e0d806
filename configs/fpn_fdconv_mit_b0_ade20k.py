# Published for this pair: nothing; the recipe is that of _base_/schedules/40k.py.
_base_ = ['./_base_/fpn_ade20k.py', './_base_/models/fdconv_mit_b0.py']
model = dict(
    backbone=_base_.backbone,
    neck=dict(in_channels=_base_.embed_dims),
)
