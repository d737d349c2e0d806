# AFFNet-ET, arXiv 2307.14008. The only place of its channel numbers; models refer to it.
embed_dims = [48, 64, 104, 144]
last_dim = 576  # of the 1x1 convolution before the classifier
backbone = dict(
    type='mmfreq.AFFNet',
    arch='et',
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    init_cfg=None,  # set the backbone's weights with --pretrained
)
# AFFNet sees images in [0, 1], without mean and deviation.
normalization = dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0])
# UperNet: HorNet decays by 0.9 per stage, five times from head to stem; over 11 blocks and the stem
# this is 0.957 each.
layer_decay_rate = 0.957
