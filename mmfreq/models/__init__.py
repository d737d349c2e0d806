"""Networks and the layers that they are made of."""

from mmfreq.models.backbones import CDFFormer, DFFormer, GFFormer, GFNet

__all__ = ['CDFFormer', 'DFFormer', 'GFFormer', 'GFNet']
