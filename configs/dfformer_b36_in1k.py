# Published for this one alone: nothing; the recipe is that of _base_/metaformer_in1k.py.
# The drop path is that of ConvFormer (arXiv 2210.13452); published is one for S18 only.
_base_ = ['./_base_/metaformer_in1k.py', './_base_/models/dfformer_b36.py']
model = dict(
    backbone=dict(_base_.backbone, img_size=_base_.crop_size, drop_path_rate=0.6, init_cfg=None),
    head=dict(in_channels=_base_.embed_dims[-1]),
)
