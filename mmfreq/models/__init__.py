"""Networks and the layers that they are made of."""

from mmfreq.models import backbones
from mmfreq.models.backbones import *  # noqa: F403
from mmfreq.models.fdconv import FDConv
from mmfreq.models.fdconv_hosts import use_fdconv
from mmfreq.models.fdlinear import FDLinear
from mmfreq.models.sync_norm import CPUSyncBN

__all__ = ['CPUSyncBN', 'FDConv', 'FDLinear', 'use_fdconv']
__all__ += backbones.__all__
