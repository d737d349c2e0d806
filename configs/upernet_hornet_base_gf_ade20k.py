# Published for the original: 50.5 mIoU, 50.9 with flips and scales (README of raoyongming/HorNet).
# The recipe is theirs: filters are stored for 384 pixels and resized to the crop in each step.
_base_ = ['./_base_/upernet_ade20k.py', './_base_/models/hornet_base_gf.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=384, drop_path_rate=0.5),
    decode_head=dict(in_channels=_base_.embed_dims),
    auxiliary_head=dict(in_channels=_base_.embed_dims[2]),
)
optim_wrapper = dict(paramwise_cfg=_base_.stage_wise_decay)
