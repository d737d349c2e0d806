# UperNet on a small data set from scratch, 200 iterations: the recipe of 160k.py with a higher
# learning rate and a short warm-up.
_base_ = './160k.py'
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=30),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=30, end=200, by_epoch=False),
]
train_cfg = dict(max_iters=200, val_interval=200)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=200))
randomness = dict(seed=0)
auto_scale_lr = dict(base_batch_size=4)
