# Published for this pair: nothing; the recipe is that of _base_/schedules/1x.py.
_base_ = ['./_base_/mask_rcnn_coco.py', './_base_/models/hornet_base_gf.py']
model = dict(
    backbone=dict(drop_path_rate=0.5, **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims),
)
