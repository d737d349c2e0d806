# ResNet-18 with FDConv, arXiv 2503.18783. The only place of its channel numbers; models refer to
# it.
embed_dims = [64, 128, 256, 512]
backbone = dict(
    type='mmfreq.FDResNet',
    depth=18,
    # A plain ResNet, which the converted network reproduces until it is trained.
    init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
)
