# Images with boxes (and masks) in COCO's format, of classes of your own: categories of the
# annotation files, in their order. Copy the first lines into a config, or let mmfreq inspect write
# it.
_base_ = './coco.py'
data_root = 'data/own'
classes = ('object',)  # the only place
num_classes = len(classes)
train_ann = 'annotations/train.json'
train_images = 'train'
val_ann = 'annotations/val.json'
val_images = 'val'
scale = (1333, 800)
train_pipeline = [
    dict(step, scale=scale) if step.type == 'Resize' else step for step in _base_.train_pipeline
]
test_pipeline = [
    dict(step, scale=scale) if step.type == 'Resize' else step for step in _base_.test_pipeline
]
data = dict(data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(
    dataset=dict(
        ann_file=train_ann, data_prefix=dict(img=train_images), pipeline=train_pipeline, **data
    )
)
val_dataloader = dict(
    dataset=dict(ann_file=val_ann, data_prefix=dict(img=val_images), pipeline=test_pipeline, **data)
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}/{val_ann}')
test_evaluator = val_evaluator
