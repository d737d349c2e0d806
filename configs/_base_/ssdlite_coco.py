# SSDLite at 320x320 on COCO. 320 pixels, 200 epochs and AdamW with weight decay 0.05 are what
# AFIDAF (arXiv 2407.12217) states for its comparison with AFFNet; AFFNet's own recipe is not
# public, batch and learning rate are ours.
_base_ = ['./models/ssdlite.py', './datasets/coco_320.py', './schedules/1x.py']
custom_imports = dict(imports=['mmfreq.datasets', 'mmfreq.models.detection'])
model = dict(bbox_head=dict(num_classes=_base_.num_classes))
max_epochs = 200
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=_base_.warmup),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        T_max=max_epochs,
        end=max_epochs,
        by_epoch=True,
        eta_min=0,
    ),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
train_dataloader = dict(batch_size=24)
val_dataloader = dict(batch_size=8)
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=192)  # 8 GPUs x 24 images
