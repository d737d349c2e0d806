# Published for the original: box AP 47.7, mask AP 43.0 (README of MzeroMiko/vHeat); the recipe is
# theirs.
_base_ = ['./_base_/swin_mask_rcnn_coco.py', './_base_/models/vheat_base.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=512, drop_path_rate=0.5),
    neck=dict(in_channels=_base_.embed_dims),
)
