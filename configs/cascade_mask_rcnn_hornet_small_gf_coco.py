# Published for the original: box AP 53.3, mask AP 46.3 (README of raoyongming/HorNet); the
# recipe is theirs.
_base_ = ['./_base_/cascade_mask_rcnn_coco.py', './_base_/models/hornet_small_gf.py']
model = dict(
    backbone=dict(drop_path_rate=0.6, **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=_base_.layer_decay_rate))
