"""Filters of channels-last features without copies: products along W, Fourier transforms along H.

What an FFT returns is contiguous along its axis, so features that are channels-last must be copied
before or behind it. Products with the small matrices of one axis read and write any layout. On a
CPU that wins for maps of about 10 to 50 pixels a side.
"""

import numpy as np
import torch
from torch import Tensor

from mmfreq.ops.kernels.fft import complex_gain, with_gradient_by_fft
from mmfreq.ops.layout import like
from mmfreq.ops.matrices import constant, shares, waves

__all__ = ['filter_maps']


def filter_maps(x: Tensor, weight: Tensor, coefficients: Tensor | None) -> Tensor:
    """See :data:`mmfreq.ops.filter.KERNELS`; the gradient is computed by ``torch.fft``."""
    return with_gradient_by_fft(_filter, x, weight, coefficients)


def _filter(x: Tensor, weight: Tensor, coefficients: Tensor | None) -> Tensor:
    gain = complex_gain(weight, coefficients, x.shape[-1])
    features = x.to(weight.dtype).permute(0, 2, 3, 1)
    return like(x, _filter_channels_last(features, gain).permute(0, 3, 1, 2))


def _filter_channels_last(x: Tensor, gain: Tensor) -> Tensor:
    """Multiply the spectrum of real features with filters.

    Args:
        x (Tensor): Features in float32 or float64, channels-last, shape ``(B, H, W, C)``.
        gain (Tensor): Complex filters, shape ``(C, H, W // 2 + 1)`` or
            ``(B, C, H, W // 2 + 1)``.

    Returns:
        Tensor: Filtered features of shape ``(B, H, W, C)``.
    """
    width = x.shape[2]
    half = x.transpose(-2, -1) @ _columns(x.dtype, x.device, width)  # (B, H, C, 2W')
    z = torch.fft.fft(torch.view_as_complex(half.unflatten(-1, (-1, 2))), dim=1)
    z = torch.fft.ifft(z.mul_(gain.movedim(-2, -3)), dim=1)
    half = torch.view_as_real(z.transpose(1, 2).contiguous()).flatten(-2)  # (B, C, H, 2W')
    return _inverse_columns(x.dtype, x.device, width) @ half.permute(0, 2, 3, 1)


def _pairs(width: int) -> np.ndarray:
    """Transform along W, ``(W, 2W')`` with ``W' = W // 2 + 1``: real and imaginary part in turn."""
    cosine, sine = waves(width, width // 2 + 1)
    return np.stack([cosine, -sine], 1).reshape(-1, width).T


_columns = constant(_pairs)


@constant
def _inverse_columns(width: int) -> np.ndarray:
    """Inverse of the transform along W, ``(W, 2W')``; most columns stand for two."""
    return _pairs(width) * np.repeat(shares(width), 2)
