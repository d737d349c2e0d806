"""Backbones: one implementation of each network for mmdet, mmseg and mmpretrain."""

from mmfreq.models.backbones.dfformer import CDFFormer, DFFormer, GFFormer
from mmfreq.models.backbones.gfnet import GFNet

__all__ = ['CDFFormer', 'DFFormer', 'GFFormer', 'GFNet']
