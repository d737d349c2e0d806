# Published for the original: 73.0 top-1 at 256x256 (README of microsoft/TokenMixers).
_base_ = ['./_base_/affnet_in1k.py', './_base_/models/affnet_et.py']
model = dict(
    backbone=dict(_base_.backbone, norm_cfg=dict(type='BN')),
    head=dict(in_channels=_base_.last_dim),
)
data_preprocessor = _base_.normalization
