# Published for this one: nothing; the recipe is that of _base_/fdresnet_in1k.py. From scratch.
_base_ = ['./_base_/fdresnet_in1k.py', './_base_/models/fdconv_r50.py']
model = dict(
    backbone=dict(_base_.backbone, init_cfg=None),
    head=dict(in_channels=_base_.embed_dims[-1]),
)
