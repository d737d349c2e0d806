# vHeat-S, arXiv 2405.16555. The only place of its channel numbers; models refer to it.
embed_dims = [96, 192, 384, 768]
backbone = dict(
    type='mmfreq.VHeat',
    arch='small',
    init_cfg=None,  # set the backbone's weights with --pretrained
)
