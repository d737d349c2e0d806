# Published for this pair: nothing; the recipe is that of _base_/schedules/160k.py.
_base_ = ['./_base_/upernet_ade20k.py', './_base_/models/gfnet_s.py']
model = dict(
    backbone=dict(img_size=_base_.crop_size, **_base_.backbone),
    # Four maps at stride 16 become strides 4, 8, 16 and 32, as for plain vision transformers.
    neck=dict(type='Feature2Pyramid', embed_dim=_base_.embed_dims[0], rescales=[4, 2, 1, 0.5]),
    decode_head=dict(in_channels=_base_.embed_dims),
    auxiliary_head=dict(in_channels=_base_.embed_dims[2]),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=_base_.layer_decay_rate))
