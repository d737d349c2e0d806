# Published for the original: 78.6 top-1 (README of raoyongming/GFNet).
_base_ = ['./_base_/gfnet_in1k.py', './_base_/models/gfnet_xs.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=_base_.crop_size),
    head=dict(in_channels=_base_.embed_dims[-1]),
)
