"""Networks and the layers that they are made of."""

from mmfreq.models.backbones import AFFNet, CDFFormer, DFFormer, FDResNet, GFFormer, GFNet
from mmfreq.models.fdconv import FDConv

__all__ = ['AFFNet', 'CDFFormer', 'DFFormer', 'FDConv', 'FDResNet', 'GFFormer', 'GFNet']
