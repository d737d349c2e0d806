# CDFFormer-B36, arXiv 2303.03932. The only place of its channel numbers; models refer to it.
embed_dims = [128, 256, 512, 768]
backbone = dict(
    type='mmfreq.CDFFormer',
    arch='b36',
    init_cfg=dict(  # of the authors' ImageNet training; --pretrained PATH|none for another
        type='Pretrained',
        checkpoint='https://github.com/okojoalg/dfformer/releases/download/weights/cdfformer_b36.pth',
    ),
)
