# Detection, 12 epochs: AdamW 1e-4 with weight decay 0.05, steps at 8 and 11, 500 iterations of
# warm-up from 0.001, as in DFFormer's RetinaNet recipe (arXiv 2303.03932, okojoalg/dfformer,
# detection/configs), which follows the 1x schedule of Swin and PVT.
_base_ = '../default_runtime.py'
max_epochs = 12
milestones = [max_epochs * 2 // 3, max_epochs * 11 // 12]
warmup = 500
optim_wrapper = dict(
    type='OptimWrapper',  # AmpOptimWrapper with --amp
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'pos_embed': dict(decay_mult=0.0)},
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=warmup),
    dict(
        type='MultiStepLR',
        begin=0,
        end=max_epochs,
        by_epoch=True,
        milestones=milestones,
        gamma=0.1,
    ),
]
train_cfg = dict(type='mmfreq.EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    checkpoint=dict(by_epoch=True, interval=1, save_best='coco/bbox_mAP'),
    # Predictions beside the ground truth, in vis_data/vis_image of the run's folder.
    visualization=dict(type='DetVisualizationHook', draw=True, interval=50),
)
auto_scale_lr = dict(enable=False, base_batch_size=16)  # 8 GPUs x 2 images; --auto-scale-lr
