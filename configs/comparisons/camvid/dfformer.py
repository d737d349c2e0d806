_base_ = './_fpn.py'
embed_dims = [40, 80, 160, 320]
arch = dict(embed_dims=embed_dims, depths=[2, 2, 6, 2])
model = dict(
    backbone=dict(type='mmfreq.DFFormer', arch=arch, img_size=128),
    neck=dict(in_channels=embed_dims),
)
