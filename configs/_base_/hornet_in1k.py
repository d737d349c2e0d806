# HorNet-GF on ImageNet-1k: the recipe of raoyongming/HorNet (TRAINING.md): AdamW 4e-3 at 4096
# images, 20 epochs of warm-up, gradient clipping, RandAugment, an average of the weights. A norm
# and a linear layer on the mean of the last map.
_base_ = ['./models/classifier.py', './datasets/imagenet.py', './schedules/300e.py']
model = dict(
    backbone=dict(out_norm=None),
    head=dict(type='mmfreq.NormLinearClsHead', num_classes=_base_.num_classes),
)
optim_wrapper = dict(optimizer=dict(lr=4e-3), clip_grad=dict(max_norm=1.0))
custom_hooks = [dict(type='EMAHook', momentum=1e-4)]
auto_scale_lr = dict(base_batch_size=4096)  # 32 GPUs x 128 images; --auto-scale-lr
