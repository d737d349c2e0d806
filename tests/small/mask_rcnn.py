# A detector with masks for tests, on images of 96x128.
_base_ = '../../configs/mini/mask_rcnn_gfnet_h_ti.py'
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
model = dict(
    train_cfg=dict(rpn_proposal=dict(max_per_img=50)),
    # So that an untrained detector finds something.
    test_cfg=dict(rpn=dict(max_per_img=50), rcnn=dict(score_thr=0.0)),
)
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
