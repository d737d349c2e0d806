"""Networks and the layers that they are made of."""

from mmfreq.models.backbones import GFNet

__all__ = ['GFNet']
