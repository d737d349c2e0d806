# DFFormer-M36, arXiv 2303.03932. The only place of its channel numbers; models refer to it.
embed_dims = [96, 192, 384, 576]
backbone = dict(
    type='mmfreq.DFFormer',
    arch='m36',
    init_cfg=dict(  # of the authors' ImageNet training; --pretrained PATH|none for another
        type='Pretrained',
        checkpoint='https://github.com/okojoalg/dfformer/releases/download/weights/dfformer_m36.pth',
    ),
)
# UperNet: HorNet decays by 0.9 per stage, five times from head to stem; over 36 blocks and the stem
# this is 0.986 each.
layer_decay_rate = 0.986
