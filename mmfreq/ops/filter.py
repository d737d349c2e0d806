"""Filtering in the frequency domain, the operation behind global-filter token mixers."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmfreq.ops.choice import choose_backend
from mmfreq.ops.derived import derived
from mmfreq.ops.fft import (
    column_weights,
    compute_dtype,
    hermitian_for_inverse,
    inverse_of_hermitian,
    rfft2,
)
from mmfreq.ops.kernels.gemm import filter_by_products, paired_gains
from mmfreq.ops.kernels.mixed import filter_channels_last
from mmfreq.ops.kernels.triton.load import triton_kernels
from mmfreq.ops.layout import like, without_slow_strides
from mmfreq.ops.tracing import is_traced

__all__ = ['dynamic_filter2d', 'spectral_filter2d']

Piece = tuple[slice, slice]  # samples and channels

WHOLE: Piece = (slice(None), slice(None))

# A CPU works on a batch, if it is small, or on an image, or on some channels of a large image:
# what is made in between then stays in its cache, and in memory that is used again.
SMALL_ELEMENTS = 3 * 2**18
LARGE_ELEMENTS = 2**20
PIECE_ELEMENTS = 2**18
FEWEST_CHANNELS = 16  # one cache line of channels-last features


def spectral_filter2d(x: Tensor, weight: Tensor, backend: str = 'auto') -> Tensor:
    """Multiply the spectrum of feature maps with a filter: a circular convolution of any extent.

    ``y = irfft2(rfft2(x) * weight)``, GFNet, arXiv 2107.00645, equation 3. The result equals the
    circular convolution of ``x`` with the filter's impulse response
    ``irfft2(weight, norm='backward')``. It is computed in float32 (float64 when an operand is) with
    autocast off. Training keeps ``x`` and ``weight`` and no spectrum.

    Args:
        x (Tensor): Feature maps, real, shape ``(B, C, H, W)``, in any memory format.
        weight (Tensor): Filter as real and imaginary parts, real dtype, shape
            ``(C, H, W // 2 + 1, 2)`` for all samples or ``(B, C, H, W // 2 + 1, 2)`` per sample.
        backend (str): See :mod:`mmfreq.ops.choice`. Defaults to ``'auto'``.

    Returns:
        Tensor: Filtered maps with the shape, dtype and memory format (contiguous or channels-last)
        of ``x``.

    Raises:
        TypeError: If ``weight`` is complex.
        ValueError: If the shapes do not fit together, where the message gives the shape that would,
            or ``backend`` is unknown.
    """
    _check_shapes(x, weight)
    return _filter(x, weight, None, backend)


def dynamic_filter2d(
    x: Tensor, basis: Tensor, coefficients: Tensor, backend: str = 'auto'
) -> Tensor:
    """Filter every channel of every sample with a filter of its own, combined from a common basis.

    The filter of sample ``b`` and channel ``c`` is ``sum_n coefficients[b, n, c] * basis[n]``,
    DFFormer, arXiv 2303.03932, equation 6. All these filters together are as large as the spectrum
    of ``x``: those of large maps never exist as a whole where ``'fft'`` computes on a CPU. Computed
    in float32 (float64 when an operand is) with autocast off. Training keeps the operands and no
    spectrum.

    Args:
        x (Tensor): Feature maps, real, shape ``(B, C, H, W)``, in any memory format.
        basis (Tensor): Filters as real and imaginary parts, real dtype, shape
            ``(N, H, W // 2 + 1, 2)``.
        coefficients (Tensor): Real coefficients, shape ``(B, N, C)``.
        backend (str): See :mod:`mmfreq.ops.choice`. Defaults to ``'auto'``.

    Returns:
        Tensor: Filtered maps with the shape, dtype and memory format of ``x``.

    Raises:
        ValueError: If the shapes do not fit together, where the message gives the shape that would,
            or ``backend`` is unknown.
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
    return _filter(x, basis, coefficients, backend)


def _filter(x: Tensor, weight: Tensor, coefficients: Tensor | None, backend: str) -> Tensor:
    channels, height, width = x.shape[1:]
    backend = choose_backend(backend, x, (height, width), channels)
    operands = (x, weight) if coefficients is None else (x, weight, coefficients)
    dtype = compute_dtype(*operands)
    weight = weight.to(dtype)
    coefficients = None if coefficients is None else coefficients.to(dtype)
    autocast = torch.is_autocast_enabled(x.device.type)  # a context costs small maps two percent
    with torch.autocast(x.device.type, enabled=False) if autocast else nullcontext():
        if backend == 'gemm':
            return _filter_by_gemm(x, weight, coefficients)
        if backend == 'triton' and not is_traced():
            kernels = triton_kernels('filter', x, dtype, instead='fft')
            if kernels is not None:
                filters = weight if coefficients is None else _combine(coefficients, weight)
                return kernels.filter_in_one_kernel(x, filters)
        if is_traced():
            z = rfft2(x.to(dtype)) * _gain(weight, coefficients, width)
            return inverse_of_hermitian(z, (height, width)).to(x.dtype)
        run = _filter_mixed if backend == 'mixed' else _filter_by_fft
        if torch.is_grad_enabled():
            return _Filter.apply(run, x, weight, coefficients)
        return run(x, weight, coefficients)


class _Filter(torch.autograd.Function):
    """The filters by ``torch.fft``, or forward by another function.

    The gradient transforms the features once more instead of keeping their spectrum, and makes
    per-sample filters again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        run: Callable[..., Tensor],
        x: Tensor,
        weight: Tensor,
        coefficients: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, coefficients)
        return run(x, weight, coefficients)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, coefficients = ctx.saved_tensors
        width, pixels = x.shape[-1], x.shape[-2] * x.shape[-1]
        share = column_weights(weight.dtype, x.device, width) / pixels
        if not any(ctx.needs_input_grad[2:]):
            with torch.autocast(x.device.type, enabled=False):
                grad_x = _filter_by_fft(grad, weight, coefficients, conjugate=True)
                return None, grad_x, None, None
        grad_weight = torch.zeros_like(weight)
        grad_coefficients = None if coefficients is None else torch.empty_like(coefficients)

        def apply(piece: Piece, grad: Tensor, x: Tensor) -> Tensor:
            cut = _cut(weight, coefficients, piece)
            grad_z = torch.fft.rfft2(grad)
            grad_gain = torch.fft.rfft2(x).conj() * grad_z
            grad_gain *= share
            _add_gradients(
                torch.view_as_real(grad_gain), *cut, *_cut(grad_weight, grad_coefficients, piece)
            )
            return grad_z.mul_(_gain(*cut, width).conj())

        with torch.autocast(x.device.type, enabled=False):
            grad_x = _in_pieces(apply, weight.dtype, grad, x)
        return None, grad_x.to(x.dtype), grad_weight, grad_coefficients


def _filter_by_fft(
    x: Tensor, weight: Tensor, coefficients: Tensor | None, conjugate: bool = False
) -> Tensor:
    def apply(piece: Piece, maps: Tensor) -> Tensor:
        gain = _gain(*_cut(weight, coefficients, piece), x.shape[-1])
        return torch.fft.rfft2(maps).mul_(gain.conj() if conjugate else gain)

    return _in_pieces(apply, weight.dtype, x)


def _in_pieces(apply: Callable[..., Tensor], dtype: torch.dtype, *features: Tensor) -> Tensor:
    """Maps whose spectrum is computed by ``apply``, on a CPU piece by piece.

    Args:
        apply (Callable): Called with a piece and the maps of each of the features that belong to
            it; returns a spectrum, not normalised.
        dtype (torch.dtype): Of these maps.
        *features (Tensor): Features of shape ``(B, C, H, W)``.

    Returns:
        Tensor: Maps with shape, dtype and memory format of the first features.
    """
    x = features[0]
    batch, channels, height, width = x.shape
    # The factor of orthonormal transforms is left to the inverse, which has it for nothing.
    if x.device.type != 'cpu' or x.numel() <= SMALL_ELEMENTS:
        maps = (without_slow_strides(part, dtype) for part in features)
        y = torch.fft.irfft2(apply(WHOLE, *maps), s=(height, width))
        return like(x, y)
    step = channels
    if channels * height * width > LARGE_ELEMENTS:
        step = max(PIECE_ELEMENTS // (height * width), FEWEST_CHANNELS)
    y = torch.empty_like(x)
    for sample in range(batch):
        for i in range(0, channels, step):
            piece = (slice(sample, sample + 1), slice(i, i + step))
            maps = (without_slow_strides(part[piece], dtype) for part in features)
            result = torch.fft.irfft2(apply(piece, *maps), s=(height, width))
            y[piece] = like(x, result) if step == channels else result
    return y


def _filter_mixed(x: Tensor, weight: Tensor, coefficients: Tensor | None) -> Tensor:
    gain = _gain(weight, coefficients, x.shape[-1])
    features = x.to(weight.dtype).permute(0, 2, 3, 1)
    return like(x, filter_channels_last(features, gain).permute(0, 3, 1, 2))


def _filter_by_gemm(x: Tensor, weight: Tensor, coefficients: Tensor | None) -> Tensor:
    if is_traced() or torch.is_grad_enabled():
        gains = paired_gains(weight)
    else:
        gains = derived(weight, 'paired gains', paired_gains)
    if coefficients is not None:
        basis = gains.reshape(2, 1, -1, weight.shape[0])
        gains = (basis @ coefficients).reshape(2, x.shape[0], gains.shape[1], -1)
    features = x.to(weight.dtype).permute(0, 2, 3, 1)
    return like(x, filter_by_products(features.contiguous(), gains).permute(0, 3, 1, 2))


def _cut(weight: Tensor, coefficients: Tensor | None, piece: Piece) -> tuple[Tensor, Tensor | None]:
    """The part of the filters, or of a basis and its coefficients, that belongs to a piece."""
    samples, channels = piece
    if coefficients is not None:
        return weight, coefficients[samples, :, channels]
    return (weight[channels] if weight.ndim == 4 else weight[samples, channels]), None


def _gain(weight: Tensor, coefficients: Tensor | None, width: int) -> Tensor:
    """Complex filters of a piece, made for a spectrum that :func:`inverse_of_hermitian` gets."""
    # The spectrum of real features is Hermitian: projecting the filters is enough.
    gain = hermitian_for_inverse(torch.view_as_complex(weight.contiguous()), width)
    if coefficients is None:
        return gain
    # Combining is linear with real coefficients: projecting the few basis filters is enough.
    return torch.view_as_complex(_combine(coefficients, torch.view_as_real(gain)))


def _combine(coefficients: Tensor, basis: Tensor) -> Tensor:
    """Filters ``(B, C, H, W', 2)`` from ``(B, N, C)`` and a basis ``(N, H, W', 2)``."""
    filters = coefficients.transpose(1, 2) @ basis.flatten(1)
    return filters.unflatten(-1, basis.shape[1:])


def _add_gradients(
    grad_gain: Tensor,
    weight: Tensor,
    coefficients: Tensor | None,
    grad_weight: Tensor,
    grad_coefficients: Tensor | None,
) -> None:
    """Add what the filters of a piece, ``(b, c, H, W', 2)``, contribute to the gradients."""
    if coefficients is None or grad_coefficients is None:
        grad_weight += grad_gain.sum(0) if weight.ndim == 4 else grad_gain
        return
    flat = grad_gain.flatten(2)
    by_filter = coefficients.transpose(0, 1).flatten(1) @ flat.flatten(0, 1)
    grad_weight += by_filter.reshape(weight.shape)
    grad_coefficients.copy_((flat @ weight.flatten(1).T).transpose(1, 2))


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
