# vHeat on ImageNet-1k: the recipe of MzeroMiko/vHeat (its configs): AdamW 2e-3 at 2048 images with
# weight decay 0.08, 20 epochs of warm-up, gradient clipping, an average of the weights, mixed
# precision (--amp). A linear layer on the mean of normalised maps. The embedding of
# frequencies is decayed.
_base_ = ['./models/classifier.py', './datasets/imagenet.py', './schedules/300e.py']
model = dict(head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(
    optimizer=dict(lr=2e-3, weight_decay=0.08),
    clip_grad=dict(max_norm=5.0),
)
custom_hooks = [dict(type='EMAHook', momentum=1e-4)]
auto_scale_lr = dict(base_batch_size=2048)  # 16 GPUs x 128 images; --auto-scale-lr
