"""Spectral operations: every FFT of the library, and nothing about networks.

Modules import only what stands below them, checked by ``tests/ops/test_storeys.py``:

=========================================================  ===========================
composition                                                kernels from a spectrum
filter, dct, spectrum, resize, bands, kernel_spectrum      operations that others call
choice                                                     which backend computes one
kernels.fft, kernels.gemm, kernels.mixed, kernels.triton   the backends
fft, layout, products                                      transforms, memory formats
matrices, derived                                          what is computed once
tracing                                                    ground
=========================================================  ===========================
"""

from mmfreq.ops.dct import dct2, dct_frequencies, idct2
from mmfreq.ops.fft import irfft2, rfft2
from mmfreq.ops.filter import dynamic_filter2d, spectral_filter2d
from mmfreq.ops.resize import RESIZE_MODES, resize_filter

__all__ = [
    'RESIZE_MODES',
    'dct2',
    'dct_frequencies',
    'dynamic_filter2d',
    'idct2',
    'irfft2',
    'resize_filter',
    'rfft2',
    'spectral_filter2d',
]
