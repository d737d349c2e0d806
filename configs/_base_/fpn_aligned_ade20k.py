# Semantic FPN whose test images are resized to multiples of 32, as PVT does.
_base_ = './fpn_ade20k.py'
test_pipeline = [  # under this name mmseg's inference functions look for it
    *_base_.test_pipeline[:2],
    dict(type='ResizeToMultiple', size_divisor=32),
    *_base_.test_pipeline[2:],
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
