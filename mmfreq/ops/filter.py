"""Filtering in the frequency domain, the operation behind global-filter token mixers."""

import torch
from torch import Tensor

from mmfreq.ops.fft import compute_dtype, hermitian, inverse_of_hermitian, rfft2

__all__ = ['spectral_filter2d']


def spectral_filter2d(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply the spectrum of feature maps with a filter: a circular convolution of any extent.

    ``y = irfft2(rfft2(x) * weight)``, GFNet, arXiv 2107.00645, equation 3. The result equals the
    circular convolution of ``x`` with the filter's impulse response
    ``irfft2(weight, norm='backward')``. It is computed in float32 (float64 when an operand is) with
    autocast off.

    Args:
        x (Tensor): Feature maps, real, shape ``(B, C, H, W)``, in any memory format.
        weight (Tensor): Filter as real and imaginary parts, real dtype, shape
            ``(C, H, W // 2 + 1, 2)`` for all samples or ``(B, C, H, W // 2 + 1, 2)`` per sample.

    Returns:
        Tensor: Filtered maps with the shape, dtype and memory format (contiguous or channels-last)
        of ``x``.

    Raises:
        TypeError: If ``weight`` is complex.
        ValueError: If the shapes do not fit together; the message gives the shape that would.
    """
    _check_shapes(x, weight)
    dtype = compute_dtype(x, weight)
    height, width = x.shape[-2:]
    gain = torch.view_as_complex(weight.to(dtype).contiguous())
    # The spectrum of x is Hermitian, so projecting the filter, which is smaller, is enough.
    product = rfft2(x.to(dtype)) * hermitian(gain, width)
    y = inverse_of_hermitian(product, (height, width)).to(x.dtype)
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return y.contiguous(memory_format=torch.channels_last) if channels_last else y


def _check_shapes(x: Tensor, weight: Tensor) -> None:
    if x.ndim != 4:
        raise ValueError(f'x must have the shape (B, C, H, W), got {tuple(x.shape)}')
    if weight.is_complex():
        raise TypeError(
            'weight must be real with a last axis of real and imaginary part; '
            'apply torch.view_as_real to a complex filter'
        )
    batch, channels, height, width = x.shape
    expected = (channels, height, width // 2 + 1, 2)
    if weight.shape not in (expected, (batch, *expected)):
        raise ValueError(
            f'a filter for maps of shape {tuple(x.shape)} must have the shape {expected} or '
            f'{(batch, *expected)}, got {tuple(weight.shape)}; '
            'use mmfreq.ops.resize_filter for a filter of another size'
        )
