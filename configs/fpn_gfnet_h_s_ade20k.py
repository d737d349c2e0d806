# GFNet's own decoder for ADE20K (raoyongming/GFNet, issue 1); its crop size is 512 and its filters
# are enlarged to the map of a test image (issue 4).
_base_ = [
    './_base_/models/semantic_fpn.py',
    './_base_/models/gfnet_h_s.py',
    './_base_/datasets/ade20k_aligned.py',
    './_base_/schedules/40k.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=_base_.crop_size, **_base_.backbone),  # filters stored for the crop
    neck=dict(in_channels=_base_.embed_dims),
)
train_dataloader = dict(batch_size=4)
