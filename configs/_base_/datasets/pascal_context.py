# Pascal Context, 59 classes: 4998 images for training, 5105 for validation, with the masks that
# mmseg's tools/dataset_converters/pascal_context.py writes; 0 is no class.
_base_ = './ade20k.py'
data_root = 'data/VOCdevkit/VOC2010'
classes = (  # the only place; some of them: the others do not count
    'aeroplane',
    'bag',
    'bed',
    'bedclothes',
    'bench',
    'bicycle',
    'bird',
    'boat',
    'book',
    'bottle',
    'building',
    'bus',
    'cabinet',
    'car',
    'cat',
    'ceiling',
    'chair',
    'cloth',
    'computer',
    'cow',
    'cup',
    'curtain',
    'dog',
    'door',
    'fence',
    'floor',
    'flower',
    'food',
    'grass',
    'ground',
    'horse',
    'keyboard',
    'light',
    'motorbike',
    'mountain',
    'mouse',
    'person',
    'plate',
    'platform',
    'pottedplant',
    'road',
    'rock',
    'sheep',
    'shelves',
    'sidewalk',
    'sign',
    'sky',
    'snow',
    'sofa',
    'table',
    'track',
    'train',
    'tree',
    'truck',
    'tvmonitor',
    'wall',
    'water',
    'window',
    'wood',
)
num_classes = len(classes)
crop_size = (480, 480)
scale = (520, 520)
sizes = dict(
    RandomResize=dict(scale=scale), RandomCrop=dict(crop_size=crop_size), Resize=dict(scale=scale)
)
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.test_pipeline]
data = dict(
    type='PascalContextDataset59',
    data_root=data_root,
    metainfo=dict(classes=classes),
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassContext'),
)
train_dataloader = dict(
    dataset=dict(
        ann_file='ImageSets/SegmentationContext/train.txt', pipeline=train_pipeline, **data
    )
)
val_dataloader = dict(
    dataset=dict(ann_file='ImageSets/SegmentationContext/val.txt', pipeline=test_pipeline, **data)
)
test_dataloader = val_dataloader
