# The recipe of the authors (Linwei-Chen/FDConv, FDConv_detection): 2 GPUs x 8 images, fp32.
_base_ = ['./_base_/faster_rcnn_coco.py', './_base_/models/fdconv_r50.py']
model = dict(
    backbone=dict(with_cp=True, **_base_.frozen, **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims),
)
train_dataloader = dict(batch_size=8)
