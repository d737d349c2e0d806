# The small rendered data set in COCO's layout, 192x256 pixels, boxes and masks; written by
# tools/dataset_converters/render_mini_data.py.
_base_ = './coco.py'
scale = (256, 192)
train_pipeline = [
    dict(step, scale=scale) if step.type == 'Resize' else step for step in _base_.train_pipeline
]
test_pipeline = [
    dict(step, scale=scale) if step.type == 'Resize' else step for step in _base_.test_pipeline
]
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
