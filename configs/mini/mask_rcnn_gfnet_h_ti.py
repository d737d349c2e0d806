# Mask R-CNN on the small data set in COCO's layout; the tests train it.
_base_ = [
    '../_base_/models/mask_rcnn.py',
    '../_base_/datasets/mini_coco.py',
    '../_base_/schedules/1x.py',
    '../_base_/models/gfnet_h_ti.py',
]
model = dict(
    backbone=_base_.backbone,
    neck=dict(in_channels=_base_.embed_dims),
    roi_head=dict(
        bbox_head=dict(num_classes=_base_.num_classes),
        mask_head=dict(num_classes=_base_.num_classes),
    ),
)
