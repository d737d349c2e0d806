# UperNet on 512x512 crops of ADE20K. Configs add a backbone and its channels.
_base_ = ['./models/upernet.py', './datasets/ade20k.py', './schedules/160k.py']
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
    test_cfg=dict(crop_size=_base_.crop_size, stride=[side * 2 // 3 for side in _base_.crop_size]),
)
