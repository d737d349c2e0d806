# Published for this pair, second-hand and not reproduced: box AP 44.5, mask AP 40.5, by a recipe
# that is not public. The recipe here is that of _base_/schedules/1x.py.
_base_ = ['./_base_/mask_rcnn_coco.py', './_base_/models/fdconv_swin_t.py']
model = dict(
    backbone=_base_.backbone,
    neck=dict(in_channels=_base_.embed_dims),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.undecayed))
