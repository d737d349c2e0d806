# GFNet-Ti, isotropic, arXiv 2107.00645. The only place of its channel numbers; models refer to it.
embed_dims = [256, 256, 256, 256]  # outputs after blocks 3, 6, 9 and 12, all at stride 16
backbone = dict(
    type='mmfreq.GFNet',
    arch='ti',
    drop_path_rate=0.0,  # of the ImageNet training, main_gfnet.py of the original
    init_cfg=None,  # set the backbone's weights with --pretrained
)
