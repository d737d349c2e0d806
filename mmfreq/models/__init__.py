"""Networks and the layers that they are made of."""

from mmfreq.models.backbones import DSM, AFFNet, CDFFormer, DFFormer, FDResNet, GFFormer, GFNet
from mmfreq.models.fdconv import FDConv
from mmfreq.models.sync_norm import CPUSyncBN

__all__ = [
    'DSM',
    'AFFNet',
    'CDFFormer',
    'CPUSyncBN',
    'DFFormer',
    'FDConv',
    'FDResNet',
    'GFFormer',
    'GFNet',
]
