# UperNet on a small data set from scratch, 200 iterations: the recipe of 160k.py with a higher
# learning rate and a short warm-up.
_base_ = './160k.py'
max_iters = 200
warmup = 30
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=warmup),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=warmup, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=max_iters))
randomness = dict(seed=0)
auto_scale_lr = dict(base_batch_size=4)
