"""Filtering in the frequency domain, the operation behind global-filter token mixers."""

import torch
from torch import Tensor

from mmfreq.ops.fft import compute_dtype, hermitian, inverse_of_hermitian, rfft2

__all__ = ['dynamic_filter2d', 'spectral_filter2d']

CHUNK_ELEMENTS = 2**18  # per-sample filters are combined in pieces that stay in a CPU's cache


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


def dynamic_filter2d(x: Tensor, basis: Tensor, coefficients: Tensor) -> Tensor:
    """Filter every channel of every sample with a filter of its own, combined from a common basis.

    The filter of sample ``b`` and channel ``c`` is ``sum_n coefficients[b, n, c] * basis[n]``,
    DFFormer, arXiv 2303.03932, equation 6. All these filters together are as large as the spectrum
    of ``x``. Without gradients they are made and applied a few channels at a time, in place; with
    gradients they exist once. Computed in float32 (float64 when an operand is) with autocast off.

    Args:
        x (Tensor): Feature maps, real, shape ``(B, C, H, W)``, in any memory format.
        basis (Tensor): Filters as real and imaginary parts, real dtype, shape
            ``(N, H, W // 2 + 1, 2)``.
        coefficients (Tensor): Real coefficients, shape ``(B, N, C)``.

    Returns:
        Tensor: Filtered maps with the shape and dtype of ``x``.

    Raises:
        ValueError: If the shapes do not fit together; the message gives the shape that would.
    """
    batch, channels, height, width = _feature_shape(x)
    expected = (height, width // 2 + 1, 2)
    if basis.is_complex() or basis.ndim != 4 or basis.shape[1:] != expected:
        raise ValueError(
            f'basis filters for maps of shape {tuple(x.shape)} must be real with the shape '
            f'(N, {", ".join(map(str, expected))}), got {basis.dtype} {tuple(basis.shape)}'
        )
    if coefficients.shape != (batch, len(basis), channels):
        raise ValueError(
            f'coefficients must have the shape (B, N, C) = {(batch, len(basis), channels)}, '
            f'got {tuple(coefficients.shape)}'
        )
    dtype = compute_dtype(x, basis, coefficients)
    with torch.autocast(x.device.type, enabled=False):
        # Combining is linear with real coefficients: projecting the few basis filters is enough.
        gains = torch.view_as_real(
            hermitian(torch.view_as_complex(basis.to(dtype).contiguous()), width)
        )
        weights = coefficients.to(dtype).transpose(1, 2)  # (B, C, N)
        spectrum = rfft2(x.to(dtype))
        if torch.is_grad_enabled() and any(t.requires_grad for t in (x, basis, coefficients)):
            product = spectrum * _combine(weights, gains)
        else:
            product = spectrum
            step = max(min(CHUNK_ELEMENTS // (batch * gains[0].numel()), channels // 4), 1)
            for i in range(0, channels, step):
                part = product[:, i : i + step]
                part.mul_(_combine(weights[:, i : i + step], gains))
    return inverse_of_hermitian(product, (height, width)).to(x.dtype)


def _combine(weights: Tensor, gains: Tensor) -> Tensor:
    """Complex filters ``(B, C, H, W')`` from ``(B, C, N)`` and real ``(N, H, W', 2)``."""
    filters = weights @ gains.flatten(1)
    return torch.view_as_complex(filters.unflatten(-1, gains.shape[1:]))


def _feature_shape(x: Tensor) -> torch.Size:
    if x.ndim != 4:
        raise ValueError(f'x must have the shape (B, C, H, W), got {tuple(x.shape)}')
    return x.shape


def _check_shapes(x: Tensor, weight: Tensor) -> None:
    batch, channels, height, width = _feature_shape(x)
    if weight.is_complex():
        raise TypeError(
            'weight must be real with a last axis of real and imaginary part; '
            'apply torch.view_as_real to a complex filter'
        )
    expected = (channels, height, width // 2 + 1, 2)
    if weight.shape not in (expected, (batch, *expected)):
        raise ValueError(
            f'a filter for maps of shape {tuple(x.shape)} must have the shape {expected} or '
            f'{(batch, *expected)}, got {tuple(weight.shape)}; '
            'use mmfreq.ops.resize_filter for a filter of another size'
        )
