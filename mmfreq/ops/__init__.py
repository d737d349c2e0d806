"""Spectral operations: every FFT of the library, and nothing about networks."""

from mmfreq.ops.fft import irfft2, rfft2
from mmfreq.ops.filter import dynamic_filter2d, spectral_filter2d
from mmfreq.ops.resize import RESIZE_MODES, resize_filter

__all__ = [
    'RESIZE_MODES',
    'dynamic_filter2d',
    'irfft2',
    'resize_filter',
    'rfft2',
    'spectral_filter2d',
]
