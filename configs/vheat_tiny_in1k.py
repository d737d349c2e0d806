# Published for the original: 82.2 top-1 (README of MzeroMiko/vHeat).
_base_ = ['./_base_/vheat_in1k.py', './_base_/models/vheat_tiny.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=_base_.crop_size, drop_path_rate=0.1),
    head=dict(in_channels=_base_.embed_dims[-1]),
)
