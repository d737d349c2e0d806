# Mask R-CNN on COCO. Configs add a backbone and its channels.
_base_ = ['./models/mask_rcnn.py', './datasets/coco.py', './schedules/1x.py']
model = dict(
    roi_head=dict(
        bbox_head=dict(num_classes=_base_.num_classes),
        mask_head=dict(num_classes=_base_.num_classes),
    )
)
