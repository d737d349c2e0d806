# ResNet-50 with FDConv, arXiv 2503.18783. The only place of its channel numbers; models refer to
# it.
embed_dims = [256, 512, 1024, 2048]
backbone = dict(
    type='mmfreq.FDResNet',
    depth=50,
    # A plain ResNet, which the converted network reproduces until it is trained.
    init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
)
# Segmentation: two to four images per GPU are too few for the statistics of one GPU.
synchronized = dict(norm_cfg=dict(type='SyncBN', requires_grad=True))
# Detection, as in the original: stem and first stage keep their weights, their attentions learn.
frozen = dict(frozen_stages=1, train_frozen_modulation=True, norm_eval=True)
# UperNet: HorNet decays by 0.9 per stage, five times from head to stem; over 16 blocks and the stem
# this is 0.969 each.
layer_decay_rate = 0.969
