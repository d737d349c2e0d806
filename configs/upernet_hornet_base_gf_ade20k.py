# Published for the original: 50.5 mIoU, 50.9 with flips and scales (README of raoyongming/HorNet).
# The recipe is theirs, but for filters, which they store for 384 pixels (img_size=384).
_base_ = ['./_base_/upernet_ade20k.py', './_base_/models/hornet_base_gf.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=_base_.crop_size, drop_path_rate=0.5),
    decode_head=dict(in_channels=_base_.embed_dims),
    auxiliary_head=dict(in_channels=_base_.embed_dims[2]),
)
optim_wrapper = dict(paramwise_cfg=_base_.stage_wise_decay)
