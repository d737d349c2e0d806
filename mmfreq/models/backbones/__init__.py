"""Backbones: one implementation of each network for mmdet, mmseg and mmpretrain."""

from mmfreq.models.backbones.affnet import AFFNet
from mmfreq.models.backbones.dfformer import CDFFormer, DFFormer, GFFormer
from mmfreq.models.backbones.dsm import DSM
from mmfreq.models.backbones.fdresnet import FDResNet
from mmfreq.models.backbones.gfnet import GFNet

__all__ = ['DSM', 'AFFNet', 'CDFFormer', 'DFFormer', 'FDResNet', 'GFFormer', 'GFNet']
