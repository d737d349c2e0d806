# The recipe of the authors (okojoalg/dfformer, detection/configs/retinanet): all parameters decay,
# drop path 0, one scale, mixed precision (--amp).
_base_ = ['./_base_/retinanet_coco.py', './_base_/models/dfformer_s18.py']
model = dict(
    backbone=dict(img_size=800, out_indices=(1, 2, 3), **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims[1:]),
)
optim_wrapper = dict(paramwise_cfg=None)
