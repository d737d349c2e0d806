# Semantic FPN with test images of multiples of 32 pixels, as PVT has them.
_base_ = ['./models/semantic_fpn.py', './datasets/ade20k_aligned.py', './schedules/40k.py']
model = dict(data_preprocessor=dict(size=_base_.crop_size))
train_dataloader = dict(batch_size=4)
