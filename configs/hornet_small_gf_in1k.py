# Published for the original: 84.0 top-1 (README of raoyongming/HorNet).
_base_ = ['./_base_/hornet_in1k.py', './_base_/models/hornet_small_gf.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=_base_.crop_size, drop_path_rate=0.4, init_cfg=None),
    head=dict(in_channels=_base_.embed_dims[-1]),
)
