# The recipe of the authors (okojoalg/dfformer, segmentation/configs/fpn): all parameters decay,
# drop path 0, test images as they are.
_base_ = ['./_base_/fpn_ade20k.py', './_base_/models/cdfformer_s18.py']
model = dict(
    backbone=dict(img_size=_base_.crop_size, **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims),
)
optim_wrapper = dict(paramwise_cfg=None)
