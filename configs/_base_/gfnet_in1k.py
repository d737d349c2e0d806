# GFNet on ImageNet-1k: the recipe of raoyongming/GFNet (main_gfnet.py and its README): 5 epochs of
# warm-up, gradient clipping, no random erasing. A linear layer on the mean of normalised maps.
_base_ = ['./models/classifier.py', './datasets/imagenet.py', './schedules/300e.py']
max_epochs = 300
warmup = min(5, max_epochs // 10)
model = dict(head=dict(num_classes=_base_.num_classes))
train_pipeline = [step for step in _base_.train_pipeline if step.type != 'RandomErasing']
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
rise = dict(_base_.rise, end=warmup)
decay = dict(_base_.decay, begin=warmup, T_max=max_epochs - warmup)
param_scheduler = [step for step in (rise, decay) if step['begin'] < step['end']]
