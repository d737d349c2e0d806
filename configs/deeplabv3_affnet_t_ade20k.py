# AFFNet's own decoder; the recipe is explained in _base_/deeplabv3_ade20k.py.
_base_ = ['./_base_/deeplabv3_ade20k.py', './_base_/models/affnet_t.py']
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(output_stride=16, out_indices=(3,), **_base_.backbone),
    decode_head=dict(in_channels=_base_.embed_dims[3]),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=_base_.layer_decay_rate))
