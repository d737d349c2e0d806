# MiT-B0 (SegFormer, arXiv 2105.15203) with FDConv, arXiv 2503.18783, in both 1x1 convolutions of
# every MLP; their depthwise one stays plain. The only place of its channel numbers; models refer to
# it.
embed_dims = [32, 64, 160, 256]
backbone = dict(
    type='mmfreq.FDConvBackbone',
    layers=r'\.ffn\.layers\.[04]$',
    backbone=dict(
        type='mmseg.MixVisionTransformer',
        embed_dims=embed_dims[0],
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        drop_path_rate=0.1,
    ),
    # A plain MiT-B0, which the converted network reproduces until it is trained.
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain/segformer/'
        'mit_b0_20220624-7e0fe6dd.pth',
    ),
)
