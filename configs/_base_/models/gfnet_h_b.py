# GFNet-H-B, arXiv 2107.00645. The only place of its channel numbers; models refer to it.
embed_dims = [96, 192, 384, 768]
backbone = dict(
    type='mmfreq.GFNet',
    arch='h-b',
    drop_path_rate=0.4,  # of the ImageNet training, main_gfnet.py of the original
    init_cfg=None,  # set the backbone's weights with --pretrained
)
# UperNet: HorNet decays by 0.9 per stage, five times from head to stem; over 36 blocks and the stem
# this is 0.986 each.
layer_decay_rate = 0.986
