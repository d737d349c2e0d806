# Published for this pair: nothing; the recipe is that of _base_/schedules/1x.py.
_base_ = ['./_base_/mask_rcnn_coco.py', './_base_/models/affnet_t.py']
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    neck=dict(in_channels=_base_.embed_dims),
)
