# GFNet's own decoder for ADE20K (raoyongming/GFNet, issue 1); its crop size is 512 and its filters
# are enlarged to the map of a test image (issue 4), which has a multiple of 32 pixels, as for PVT.
_base_ = ['./_base_/fpn_aligned_ade20k.py', './_base_/models/gfnet_h_b.py']
model = dict(
    backbone=dict(img_size=_base_.crop_size, **_base_.backbone),
    neck=dict(in_channels=_base_.embed_dims),
)
