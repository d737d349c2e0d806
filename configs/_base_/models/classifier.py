# What all classifiers share: images with ImageNet's mean and deviation, mixed in training, the mean
# of the last map, and a head. Backbone and channels come from other files.
model = dict(
    type='ImageClassifier',
    backbone=dict(out_indices=-1),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='mmfreq.LinearClsHead',
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)
