# CDFFormer-S18, arXiv 2303.03932. The only place of its channel numbers; models refer to it.
embed_dims = [64, 128, 320, 512]
backbone = dict(
    type='mmfreq.CDFFormer',
    arch='s18',
    init_cfg=dict(  # of the authors' ImageNet training; --pretrained PATH|none for another
        type='Pretrained',
        checkpoint='https://github.com/okojoalg/dfformer/releases/download/weights/cdfformer_s18.pth',
    ),
)
# UperNet: HorNet decays by 0.9 per stage, five times from head to stem; over 18 blocks and the stem
# this is 0.973 each.
layer_decay_rate = 0.973
