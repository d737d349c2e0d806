# Published for this pair: nothing; the recipe is that of _base_/schedules/1x.py.
_base_ = ['./_base_/retinanet_coco.py', './_base_/models/vheat_tiny.py']
model = dict(
    backbone=dict(out_indices=(1, 2, 3), drop_path_rate=0.1, **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims[1:]),
)
