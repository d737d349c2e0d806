# A detector of boxes for tests, on images of 96x128.
_base_ = '../../configs/retinanet_gfnet_h_ti_coco.py'
scale = (128, 96)
train_pipeline = [
    dict(step, scale=scale) if step.type == 'Resize' else step for step in _base_.train_pipeline
]
test_pipeline = [
    dict(step, scale=scale) if step.type == 'Resize' else step for step in _base_.test_pipeline
]
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2)
default_hooks = dict(logger=dict(interval=1))
