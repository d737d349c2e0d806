# Semantic FPN on 512x512 crops of ADE20K, 32 images a batch. Configs add a backbone and its
# channels.
_base_ = ['./models/semantic_fpn.py', './datasets/ade20k.py', './schedules/40k.py']
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
)
train_dataloader = dict(batch_size=4)
