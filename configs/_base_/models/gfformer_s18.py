# GFFormer-S18, the ablation with static filters of arXiv 2303.03932. The only place of its channel
# numbers; models refer to it.
embed_dims = [64, 128, 320, 512]
backbone = dict(
    type='mmfreq.GFFormer',
    arch='s18',
    init_cfg=None,  # set the backbone's weights with --pretrained
)
