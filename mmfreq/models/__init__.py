"""Networks and the layers that they are made of."""

from mmfreq.models.backbones import AFFNet, CDFFormer, DFFormer, GFFormer, GFNet

__all__ = ['AFFNet', 'CDFFormer', 'DFFormer', 'GFFormer', 'GFNet']
