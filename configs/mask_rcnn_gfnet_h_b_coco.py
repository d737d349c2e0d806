# Published for this pair: nothing; the recipe is that of _base_/schedules/1x.py.
_base_ = [
    './_base_/models/mask_rcnn.py',
    './_base_/models/gfnet_h_b.py',
    './_base_/datasets/coco.py',
    './_base_/schedules/1x.py',
]
model = dict(
    # Filters are stored as in the ImageNet checkpoint and resized to each image.
    backbone=_base_.backbone,
    neck=dict(in_channels=_base_.embed_dims),
)
