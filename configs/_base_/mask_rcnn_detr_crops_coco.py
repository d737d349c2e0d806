# Mask R-CNN on COCO with the scales and crops of DETR; details in configs that use it.
_base_ = ['./models/mask_rcnn.py', './datasets/coco_detr_crops.py', './schedules/1x.py']
model = dict(
    data_preprocessor=dict(pad_size_divisor=64),
    roi_head=dict(
        bbox_head=dict(num_classes=_base_.num_classes),
        mask_head=dict(num_classes=_base_.num_classes),
    ),
)
max_epochs = _base_.max_epochs
milestones = [max_epochs * 5 // 6, max_epochs * 11 // 12]
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=_base_.warmup),
    dict(
        type='MultiStepLR',
        begin=0,
        end=max_epochs,
        by_epoch=True,
        milestones=milestones,
        gamma=0.1,
    ),
]
train_dataloader = dict(batch_size=4)
