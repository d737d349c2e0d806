# The recipe of the authors (Linwei-Chen/FDConv, FDConv_detection): AdamW, 4 images per GPU, DETR's
# scales and crops, padding to 64, steps at 10 and 11, mixed precision (--amp). They do not state
# the number of GPUs; the learning rate is taken to be for 16 images.
_base_ = ['./_base_/mask_rcnn_detr_crops_coco.py', './_base_/models/fdconv_r50.py']
model = dict(
    backbone=dict(**_base_.frozen, **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims),
)
