# Images in one folder, masks of the same names in another: 8 bits, class ids from 0, 255 for pixels
# that do not count. Copy the first lines into a config of yours, or let mmfreq inspect write it.
_base_ = './ade20k.py'
data_root = 'data/own'
classes = ('background', 'object')  # the only place
num_classes = len(classes)
train = dict(img_path='images/train', seg_map_path='masks/train')
val = dict(img_path='images/val', seg_map_path='masks/val')
img_suffix = '.jpg'
seg_map_suffix = '.png'
reduce_zero_label = False  # True: 0 is no class, and classes count from 1
crop_size = (512, 512)
scale = (2048, 512)  # at most, longer and shorter side
sizes = dict(
    RandomResize=dict(scale=scale), RandomCrop=dict(crop_size=crop_size), Resize=dict(scale=scale)
)
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.test_pipeline]
data = dict(
    type='mmfreq.BaseSegDataset',
    data_root=data_root,
    metainfo=dict(classes=classes),
    img_suffix=img_suffix,
    seg_map_suffix=seg_map_suffix,
    reduce_zero_label=reduce_zero_label,
)
train_dataloader = dict(dataset=dict(data_prefix=train, pipeline=train_pipeline, **data))
val_dataloader = dict(dataset=dict(data_prefix=val, pipeline=test_pipeline, **data))
test_dataloader = val_dataloader
