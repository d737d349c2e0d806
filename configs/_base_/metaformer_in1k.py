# DFFormer, CDFFormer, GFFormer on ImageNet-1k: the recipe in the README of okojoalg/dfformer, which
# is that of schedules/300e.py with mixed precision (--amp). A norm and an MLP on the mean of the
# last map. DSM, of which nothing is public, has the same.
_base_ = ['./models/classifier.py', './datasets/imagenet.py', './schedules/300e.py']
model = dict(
    backbone=dict(out_norm=None),
    head=dict(type='mmfreq.MlpClsHead', num_classes=_base_.num_classes),
)
