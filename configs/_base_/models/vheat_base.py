# vHeat-B, arXiv 2405.16555. The only place of its channel numbers; models refer to it.
embed_dims = [128, 256, 512, 1024]
backbone = dict(
    type='mmfreq.VHeat',
    arch='base',
    init_cfg=None,  # set the backbone's weights with --pretrained
)
