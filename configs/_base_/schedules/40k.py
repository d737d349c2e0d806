# Semantic FPN, 40k iterations: the recipe of PVT (arXiv 2102.12122, segmentation/configs), which
# GFNet's authors name as theirs (raoyongming/GFNet, issue 1). AdamW, poly decay, no warm-up.
_base_ = '../default_runtime.py'
max_iters = 40000
val_interval = max(max_iters // 10, 1)
optim_wrapper = dict(
    type='OptimWrapper',  # AmpOptimWrapper with --amp
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'pos_embed': dict(decay_mult=0.0)},
    ),
)
param_scheduler = [
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=max_iters, by_epoch=False)
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
auto_scale_lr = dict(enable=False, base_batch_size=32)  # 8 GPUs x 4 images; --auto-scale-lr
