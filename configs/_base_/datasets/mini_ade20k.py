# The small rendered data set in ADE20K's layout, 192x256 pixels, in crops of 128x128; written by
# tools/dataset_converters/render_mini_data.py.
_base_ = './ade20k.py'
crop_size = (128, 128)
scale = (256, 192)
train_pipeline = [
    dict(step, scale=scale)
    if step.type == 'RandomResize'
    else dict(step, crop_size=crop_size)
    if step.type == 'RandomCrop'
    else step
    for step in _base_.train_pipeline
]
test_pipeline = [
    dict(step, scale=scale) if step.type == 'Resize' else step for step in _base_.test_pipeline
]
train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
