# Published for this pair: nothing; the recipe is that of _base_/schedules/40k.py.
_base_ = ['./_base_/fpn_ade20k.py', './_base_/models/hornet_tiny_gf.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=_base_.crop_size, drop_path_rate=0.4),
    neck=dict(in_channels=_base_.embed_dims),
)
