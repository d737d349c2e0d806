# What all networks of the comparison on CamVid share: Semantic FPN of half the usual width, from
# scratch, 8 crops of 128 a step out of images of about 240x180, half of their size. The schedule is
# that of schedules/mini.py, five times as long; it was chosen before any result was seen.
_base_ = [
    '../../_base_/models/semantic_fpn.py',
    '../../_base_/datasets/camvid.py',
    '../../_base_/schedules/mini.py',
]
max_iters = 1000
val_interval = 250
crop_size = (128, 128)
scale = (240, 180)
sizes = dict(
    RandomResize=dict(scale=scale), RandomCrop=dict(crop_size=crop_size), Resize=dict(scale=scale)
)
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.test_pipeline]
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
model = dict(
    data_preprocessor=dict(size=crop_size),
    neck=dict(out_channels=128),
    decode_head=dict(in_channels=[128] * 4, channels=64, num_classes=_base_.num_classes),
)
warmup = 50
param_scheduler = [
    dict(_base_.param_scheduler[0], end=warmup),
    dict(_base_.param_scheduler[1], begin=warmup, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=val_interval))
auto_scale_lr = dict(base_batch_size=8)
