# ImageNet-1k as OpenMMLab has it: train and val with a folder for each class, or meta/train.txt and
# meta/val.txt; with classes, any images in a folder for each. --data-root replaces data_root.
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mmfreq.models.classification'], allow_failed_imports=False)
data_root = 'data/imagenet'
classes = ()  # names of the folders; ImageNet's if there are none
num_classes = len(classes) or 1000  # the only place; the head refers to it
topk = (1, 5) if num_classes > 5 else (1,)
crop_size = (224, 224)
scale = 256  # shorter side of a test image, before its centre is cut out
erase_prob = 0.25
batch_size = 128
data_preprocessor = dict(
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
    num_classes=num_classes,
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=crop_size, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(  # timm's rand-m9-mstd0.5-inc1
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic'),
    ),
    dict(
        type='RandomErasing',
        erase_prob=erase_prob,
        mode='rand',
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=[103.53, 116.28, 123.675],
        fill_std=[57.375, 57.12, 58.395],
    ),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='ResizeEdge',
        scale=scale,
        edge='short',
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='CenterCrop', crop_size=crop_size),
    dict(type='PackInputs'),
]
data = dict(
    type='ImageNet', data_root=data_root, metainfo=dict(classes=classes) if classes else dict()
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', pipeline=train_pipeline, **data),
)
val_dataloader = dict(
    batch_size=batch_size,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='val', pipeline=test_pipeline, **data),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=topk)
test_evaluator = val_evaluator
visualizer = dict(
    type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'
)
