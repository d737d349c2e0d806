# UperNet, 160k iterations: the recipe of HorNet-GF (arXiv 2207.14284, by the authors of GFNet,
# their only public dense-prediction recipe for global filters). AdamW, gradient clipping, linear
# warm-up, poly decay of power 1. Configs add layer-wise learning-rate decay.
_base_ = '../default_runtime.py'
max_iters = 160000
warmup = max(min(1500, max_iters // 10), 1)
val_interval = max(max_iters // 10, 1)
optim_wrapper = dict(
    type='OptimWrapper',  # AmpOptimWrapper with --amp
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=1.0, norm_type=2),
    constructor='mmfreq.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'pos_embed': dict(decay_mult=0.0)},
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=warmup),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=warmup, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='mmfreq.IterBasedTrainLoop', max_iters=max_iters, val_interval=val_interval)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    # Predictions beside the ground truth, in vis_data/vis_image of the run's folder.
    visualization=dict(type='SegVisualizationHook', draw=True, interval=20),
    checkpoint=dict(by_epoch=False, interval=val_interval, save_best='mIoU'),
)
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(enable=False, base_batch_size=16)  # 8 GPUs x 2 images; --auto-scale-lr
