# DSM-B, our reconstruction from the abstract of arXiv 2309.06721. The only place of its channel
# numbers; models refer to it.
embed_dims = [64, 128, 320, 512]
backbone = dict(
    type='mmfreq.DSM',
    arch='b',
    init_cfg=None,  # no weights exist; set your own with --pretrained
)
# UperNet: HorNet decays by 0.9 per stage, five times from head to stem; over 42 blocks and the stem
# this is 0.988 each.
layer_decay_rate = 0.988
