# UperNet on the small data set in ADE20K's layout, from scratch; the demo and the tests train it.
_base_ = [
    '../_base_/models/upernet.py',
    '../_base_/datasets/mini_ade20k.py',
    '../_base_/schedules/mini.py',
    '../_base_/models/gfnet_h_s.py',
]
crop_size = _base_.crop_size
classes = (  # of ADE20K, those that scenes have
    'building',
    'sky',
    'tree',
    'road',
    'grass',
    'person',
    'mountain',
    'car',
    'sea',
    'boat',
    'airplane',
    'ball',
)
num_classes = len(classes)
train_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
val_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
test_dataloader = val_dataloader
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=crop_size, **{**_base_.backbone, 'drop_path_rate': 0.0}),
    decode_head=dict(in_channels=_base_.embed_dims, num_classes=num_classes),
    auxiliary_head=dict(in_channels=_base_.embed_dims[2], num_classes=num_classes),
    test_cfg=dict(crop_size=crop_size, stride=(85, 85)),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=_base_.layer_decay_rate))
