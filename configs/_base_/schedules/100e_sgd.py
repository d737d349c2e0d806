# Classification, 100 epochs of SGD: 0.1 at 8 x 32 images, divided by ten at 30, 60 and 90, as
# ResNets are trained in mmpretrain (configs/_base_/schedules/imagenet_bs256.py).
_base_ = './300e.py'
max_epochs = 100
milestones = [max_epochs * 3 // 10, max_epochs * 6 // 10, max_epochs * 9 // 10]
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',  # AmpOptimWrapper with --amp
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(
        type='MultiStepLR',
        begin=0,
        end=max_epochs,
        by_epoch=True,
        milestones=milestones,
        gamma=0.1,
    )
]
train_cfg = dict(max_epochs=max_epochs)
auto_scale_lr = dict(base_batch_size=256)  # 8 GPUs x 32 images
