# Published for this pair: nothing; the recipe is that of _base_/schedules/1x.py.
_base_ = ['./_base_/mask_rcnn_coco.py', './_base_/models/gfnet_h_b.py']
model = dict(
    backbone=_base_.backbone,
    neck=dict(in_channels=_base_.embed_dims),
)
