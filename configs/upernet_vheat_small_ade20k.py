# Published for the original: 49.0 mIoU (README of MzeroMiko/vHeat); the recipe is theirs.
_base_ = ['./_base_/swin_upernet_ade20k.py', './_base_/models/vheat_small.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=_base_.crop_size, drop_path_rate=0.4),
    decode_head=dict(in_channels=_base_.embed_dims),
    auxiliary_head=dict(in_channels=_base_.embed_dims[2]),
)
