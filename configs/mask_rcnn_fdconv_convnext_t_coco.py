# Published for this pair, second-hand and not reproduced: box AP 45.2, mask AP 40.8, by a recipe
# that is not public. The recipe here is that of _base_/schedules/1x.py.
_base_ = ['./_base_/mask_rcnn_coco.py', './_base_/models/fdconv_convnext_t.py']
model = dict(
    backbone=_base_.backbone,
    neck=dict(in_channels=_base_.embed_dims),
)
