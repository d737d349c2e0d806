# GFNet-B, isotropic, arXiv 2107.00645. The only place of its channel numbers; models refer to it.
embed_dims = [512, 512, 512, 512]  # outputs after blocks 4, 9, 14 and 19, all at stride 16
backbone = dict(
    type='mmfreq.GFNet',
    arch='b',
    drop_path_rate=0.25,  # of the ImageNet training, main_gfnet.py of the original
    init_cfg=None,  # set the backbone's weights with --pretrained
)
