"""A tiny network of every family, for tests of what all of them promise."""

from functools import partial

from mmfreq.models import DSM, AFFNet, CDFFormer, DFFormer, FDResNet, GFFormer, GFNet

FOUR = dict(embed_dims=(8, 16, 24, 32), depths=(1, 2, 1, 1))
TINY = {
    'GFNet': partial(GFNet, arch=dict(FOUR, patch_size=4, layer_scale_init=0.1), img_size=64),
    'GFNet-flat': partial(GFNet, arch=dict(patch_size=16, embed_dims=16, depths=4), img_size=64),
    'DFFormer': partial(DFFormer, arch=FOUR, img_size=64),
    'CDFFormer': partial(CDFFormer, arch=FOUR, img_size=64),
    'GFFormer': partial(GFFormer, arch=FOUR, img_size=64),
    'AFFNet': partial(AFFNet, arch=dict(FOUR, expand_ratio=2)),
    'DSM': partial(DSM, arch=FOUR),
    'FDResNet': partial(FDResNet, arch='18', kernel_num=4),
}
