# Published for this pair: nothing; the recipe is that of _base_/schedules/160k.py.
_base_ = ['./_base_/upernet_ade20k.py', './_base_/models/fdconv_convnext_t.py']
model = dict(
    backbone=_base_.backbone,
    decode_head=dict(in_channels=_base_.embed_dims),
    auxiliary_head=dict(in_channels=_base_.embed_dims[2]),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=_base_.layer_decay_rate))
