# AFFNet on ImageNet-1k at 256x256, images in [0, 1]. The authors' configs are not public: the
# recipe is that of MobileViT (arXiv 2110.02178), whose code theirs is built on, with images of one
# size: no mixing and no RandAugment, a larger step, less decay, and an average of the weights,
# which is what is evaluated. A linear layer behind dropout on the mean of a last 1x1 convolution.
_base_ = ['./models/classifier.py', './datasets/imagenet.py', './schedules/300e.py']
crop_size = (256, 256)
scale = 288
max_epochs = 300
eta_min = 2e-4
warmup = min(3, max_epochs // 10)  # epochs; 3000 iterations in MobileViT's
model = dict(head=dict(num_classes=_base_.num_classes, dropout=0.1), train_cfg=dict(_delete_=True))
sizes = dict(
    RandomResizedCrop=dict(scale=crop_size),
    ResizeEdge=dict(scale=scale),
    CenterCrop=dict(crop_size=crop_size),
)
train_pipeline = [
    dict(step, **sizes.get(step.type, {}))
    for step in _base_.train_pipeline
    if step.type not in ('RandAugment', 'RandomErasing')
]
test_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.test_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=2e-3, weight_decay=0.01))
rise = dict(_base_.rise, start_factor=0.1, end=warmup)
decay = dict(_base_.decay, eta_min=eta_min, begin=warmup, T_max=max_epochs - warmup)
param_scheduler = [step for step in (rise, decay) if step['begin'] < step['end']]
# An average of the last hundredth of the steps so far, at most 2000: short runs have one, too.
custom_hooks = [dict(type='EMAHook', ema_type='MomentumAnnealingEMA', momentum=5e-4, gamma=100)]
