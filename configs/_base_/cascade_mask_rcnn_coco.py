# Cascade Mask R-CNN on COCO, 36 epochs, as in ConvNeXt (arXiv 2201.03545) and Swin: heads of four
# convolutions and a linear layer with GIoU loss, images of many sizes and cut-outs of them. Step
# and decay are those of HorNet. Configs add a backbone, its channels and layer-wise decay.
_base_ = ['./models/cascade_mask_rcnn.py', './datasets/coco.py', './schedules/1x.py']
bbox_head = dict(
    type='ConvFCBBoxHead',
    num_shared_convs=4,
    num_shared_fcs=1,
    in_channels=256,
    conv_out_channels=256,
    fc_out_channels=1024,
    roi_feat_size=7,
    num_classes=_base_.num_classes,
    reg_class_agnostic=False,
    reg_decoded_bbox=True,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
)
model = dict(
    roi_head=dict(
        bbox_head=[  # each refines the boxes of the one before
            dict(
                bbox_head,
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder',
                    target_means=[0.0, 0.0, 0.0, 0.0],
                    target_stds=[0.1 / k, 0.1 / k, 0.2 / k, 0.2 / k],
                ),
            )
            for k in (1, 2, 3)
        ],
        mask_head=dict(num_classes=_base_.num_classes),
    )
)
sides = [(side, 1333) for side in range(480, 801, 32)]
resize = dict(type='RandomChoiceResize', scales=sides, keep_ratio=True)
cut_out = [
    dict(
        type='RandomChoiceResize', scales=[(400, 1333), (500, 1333), (600, 1333)], keep_ratio=True
    ),
    dict(
        type='RandomCrop',
        crop_type='absolute_range',
        crop_size=(384, 600),
        allow_negative_crop=True,
    ),
    resize,
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomChoice', transforms=[[resize], cut_out]),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
max_epochs = 36
warmup = 1000
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    constructor='mmfreq.LayerDecayOptimWrapperConstructor',
)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=warmup),
    dict(
        _base_.param_scheduler[1],
        end=max_epochs,
        milestones=[max_epochs * 3 // 4, max_epochs * 11 // 12],
    ),
]
train_cfg = dict(max_epochs=max_epochs)
