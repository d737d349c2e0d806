# Classification, 300 epochs: AdamW 1e-3 at 8 x 128 images with weight decay 0.05, linear warm-up
# from 1e-6, cosine decay, as in DeiT (arXiv 2012.12877); families change what theirs do not have.
_base_ = '../default_runtime.py'
max_epochs = 300
warmup = min(20, max_epochs // 10)  # epochs
eta_min = 1e-5
optim_wrapper = dict(
    type='OptimWrapper',  # AmpOptimWrapper with --amp
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'pos_embed': dict(decay_mult=0.0)},
    ),
)
rise = dict(
    type='LinearLR',
    start_factor=1e-3,
    by_epoch=True,
    begin=0,
    end=warmup,
    convert_to_iter_based=True,
)
decay = dict(
    type='CosineAnnealingLR',
    eta_min=eta_min,
    by_epoch=True,
    begin=warmup,
    end=max_epochs,
    T_max=max_epochs - warmup,
    convert_to_iter_based=True,
)
param_scheduler = [step for step in (rise, decay) if step['begin'] < step['end']]
train_cfg = dict(type='mmfreq.EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    checkpoint=dict(by_epoch=True, interval=1, save_best='accuracy/top1'),
    visualization=dict(type='VisualizationHook', enable=False),
)
auto_scale_lr = dict(enable=False, base_batch_size=1024)  # 8 GPUs x 128 images; --auto-scale-lr
