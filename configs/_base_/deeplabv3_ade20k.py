# DeepLabV3 for light backbones on 512x512 crops of ADE20K. Crop, 50 epochs and AdamW are what
# AFIDAF (arXiv 2407.12217) states for its comparison with AFFNet; AFFNet's own recipe is not
# public, the learning rate and the rest are those of ./schedules/160k.py.
_base_ = ['./models/deeplabv3.py', './datasets/ade20k.py', './schedules/160k.py']
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
)
max_iters = 63150  # 50 epochs of 20210 images, 16 at a time
warmup = max(min(1500, max_iters // 10), 1)
val_interval = max(max_iters // 10, 1)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=warmup),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=warmup, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
default_hooks = dict(checkpoint=dict(interval=val_interval))
