"""Token mixers: modules that map channels-last features ``(B, H, W, C)`` to the same shape."""

from mmfreq.models.mixers.global_filter import GlobalFilter

__all__ = ['GlobalFilter']
