_base_ = ['./_fpn.py', '../../_base_/models/affnet_t.py']
model = dict(backbone=_base_.backbone, neck=dict(in_channels=_base_.embed_dims))
