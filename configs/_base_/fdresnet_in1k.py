# ResNets with FDConv on ImageNet-1k. Nothing is published: the recipe is that of mmpretrain's
# ResNet-50 (configs/resnet/resnet50_8xb32_in1k.py), SGD over 100 epochs in steps, plain crops.
_base_ = ['./models/classifier.py', './datasets/imagenet.py', './schedules/100e_sgd.py']
batch_size = 32
model = dict(
    head=dict(num_classes=_base_.num_classes, loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=dict(_delete_=True),
)
train_pipeline = [
    step for step in _base_.train_pipeline if step.type not in ('RandAugment', 'RandomErasing')
]
train_dataloader = dict(batch_size=batch_size, dataset=dict(pipeline=train_pipeline))
