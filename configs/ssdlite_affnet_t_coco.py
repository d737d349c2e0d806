# AFFNet's own detector; the recipe is explained in _base_/ssdlite_coco.py.
_base_ = ['./_base_/ssdlite_coco.py', './_base_/models/affnet_t.py']
channels = [*_base_.embed_dims[1:], 512, 256, 256]
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(out_indices=(1, 2, 3), **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims[1:], out_channels=channels),
    bbox_head=dict(in_channels=channels),
)
