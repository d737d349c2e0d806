# Cityscapes, 19 classes: 2975, 500 and 1525 images of 2048x1024, with the labelTrainIds that
# cityscapesscripts writes.
_base_ = './ade20k.py'
data_root = 'data/cityscapes'
classes = (  # the only place; some of them: the others do not count
    'road',
    'sidewalk',
    'building',
    'wall',
    'fence',
    'pole',
    'traffic light',
    'traffic sign',
    'vegetation',
    'terrain',
    'sky',
    'person',
    'rider',
    'car',
    'truck',
    'bus',
    'train',
    'motorcycle',
    'bicycle',
)
num_classes = len(classes)
crop_size = (512, 1024)
scale = (2048, 1024)
sizes = dict(
    RandomResize=dict(scale=scale), RandomCrop=dict(crop_size=crop_size), Resize=dict(scale=scale)
)
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.test_pipeline]
data = dict(type='CityscapesDataset', data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline,
        **data,
    )
)
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
        **data,
    )
)
test_dataloader = val_dataloader
