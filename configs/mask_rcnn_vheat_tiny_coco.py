# Published for the original: box AP 45.1, mask AP 41.2 (README of MzeroMiko/vHeat); the recipe is
# theirs.
_base_ = ['./_base_/swin_mask_rcnn_coco.py', './_base_/models/vheat_tiny.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=512, drop_path_rate=0.1),
    neck=dict(in_channels=_base_.embed_dims),
)
