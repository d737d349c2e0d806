# A segmentor for tests, on images of 96x128 and crops of 64x64.
_base_ = [
    '../../configs/_base_/models/upernet.py',
    '../../configs/_base_/datasets/mini_ade20k.py',
    '../../configs/_base_/schedules/160k.py',
    '../../configs/_base_/models/gfnet_h_ti.py',
]
crop_size = (64, 64)
scale = (128, 96)
train_pipeline = [
    dict(step, scale=scale)
    if step.type == 'RandomResize'
    else dict(step, crop_size=crop_size)
    if step.type == 'RandomCrop'
    else step
    for step in _base_.train_pipeline
]
test_pipeline = [
    dict(step, scale=scale) if step.type == 'Resize' else step for step in _base_.test_pipeline
]
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=64, **_base_.backbone),
    decode_head=dict(in_channels=_base_.embed_dims, num_classes=_base_.num_classes, channels=32),
    auxiliary_head=dict(in_channels=_base_.embed_dims[2], num_classes=_base_.num_classes),
    test_cfg=dict(crop_size=crop_size, stride=crop_size),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=_base_.layer_decay_rate))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=1, end=160000, by_epoch=False),
]
train_cfg = dict(max_iters=2)
default_hooks = dict(logger=dict(interval=1), visualization=dict(interval=1))
