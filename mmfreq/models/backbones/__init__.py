"""Backbones: one implementation of each network for mmdet, mmseg and mmpretrain."""

from mmfreq.models.backbones.gfnet import GFNet

__all__ = ['GFNet']
