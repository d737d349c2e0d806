# GFNet-H-Ti, arXiv 2107.00645. The only place of its channel numbers; models refer to it.
embed_dims = [64, 128, 256, 512]
backbone = dict(
    type='mmfreq.GFNet',
    arch='h-ti',
    drop_path_rate=0.1,  # of the ImageNet training, main_gfnet.py of the original
    init_cfg=None,  # set the backbone's weights with --pretrained
)
# UperNet: HorNet decays by 0.9 per stage, five times from head to stem; over 19 blocks and the stem
# this is 0.974 each.
layer_decay_rate = 0.974
