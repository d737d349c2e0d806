# Images in a folder for each class, below train and val: the pipelines of ImageNet trainings. For a
# network with its recipe, a config that inherits from mmfreq::gfnet_h_ti_in1k.py or the like sets
# data_root and classes, and needs no more.
_base_ = './imagenet.py'
data_root = 'data/own'
classes = ('one', 'other')  # the only place; names of the folders
num_classes = len(classes)
topk = (1, 5) if num_classes > 5 else (1,)
crop_size = (224, 224)
scale = 256  # shorter side of a test image, before its centre is cut out
sizes = dict(
    RandomResizedCrop=dict(scale=crop_size),
    ResizeEdge=dict(scale=scale),
    CenterCrop=dict(crop_size=crop_size),
)
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.test_pipeline]
data_preprocessor = dict(num_classes=num_classes)
data = dict(data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **data))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **data))
test_dataloader = val_dataloader
val_evaluator = dict(topk=topk)
test_evaluator = val_evaluator
