# Published for the original: box AP 54.0, mask AP 46.9 (README of raoyongming/HorNet); the
# recipe is theirs.
_base_ = ['./_base_/cascade_mask_rcnn_coco.py', './_base_/models/hornet_base_gf.py']
model = dict(
    backbone=dict(drop_path_rate=0.7, **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=_base_.layer_decay_rate))
