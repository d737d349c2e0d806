# Pascal VOC 2012, 21 classes with the background: 1464 images for training, 1449 for validation.
_base_ = './ade20k.py'
data_root = 'data/VOCdevkit/VOC2012'
classes = (  # the only place; some of them: the others do not count
    'background',
    'aeroplane',
    'bicycle',
    'bird',
    'boat',
    'bottle',
    'bus',
    'car',
    'cat',
    'chair',
    'cow',
    'diningtable',
    'dog',
    'horse',
    'motorbike',
    'person',
    'pottedplant',
    'sheep',
    'sofa',
    'train',
    'tvmonitor',
)
num_classes = len(classes)
crop_size = (512, 512)
scale = (2048, 512)
sizes = dict(
    RandomResize=dict(scale=scale), RandomCrop=dict(crop_size=crop_size), Resize=dict(scale=scale)
)
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.test_pipeline]
data = dict(
    type='PascalVOCDataset',
    data_root=data_root,
    metainfo=dict(classes=classes),
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
)
train_dataloader = dict(
    dataset=dict(ann_file='ImageSets/Segmentation/train.txt', pipeline=train_pipeline, **data)
)
val_dataloader = dict(
    dataset=dict(ann_file='ImageSets/Segmentation/val.txt', pipeline=test_pipeline, **data)
)
test_dataloader = val_dataloader
