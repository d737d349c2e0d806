# Published for this pair: nothing; the recipe is that of _base_/schedules/160k.py.
_base_ = [
    './_base_/models/upernet.py',
    './_base_/models/gfnet_h_s.py',
    './_base_/datasets/ade20k.py',
    './_base_/schedules/160k.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=_base_.crop_size, **_base_.backbone),  # filters stored for the crop
    decode_head=dict(in_channels=_base_.embed_dims),
    auxiliary_head=dict(in_channels=_base_.embed_dims[2]),
    test_cfg=dict(crop_size=_base_.crop_size),
)
# HorNet decays by 0.9 per stage, five times from head to stem; over 19 blocks and the stem this
# is 0.974 each.
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.974))
