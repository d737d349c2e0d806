# HorNet-B-GF, arXiv 2207.14284. The only place of its channel numbers; models refer to it.
embed_dims = [128, 256, 512, 1024]
backbone = dict(
    type='mmfreq.HorNet',
    arch='base-gf',
    init_cfg=dict(  # the authors' ImageNet training, as mmpretrain has it; --pretrained PATH|none
        type='Pretrained',
        checkpoint='https://mmassets.onedl.ai/mmclassification/v0/hornet/'
        'hornet-base-gf_3rdparty_in1k_20220915-82c06fa7.pth',
    ),
)
# UperNet: learning rates fall by stages, as in mmseg's stage-wise decay with so many layers.
stage_wise_decay = dict(layer_decay_rate=0.9, decay_type='stage_wise', num_layers=12)
# Cascade Mask R-CNN: the original decays by 0.8 over 13 layers of one to three blocks, over 25
# blocks and the stem this is 0.894 each.
layer_decay_rate = 0.894
