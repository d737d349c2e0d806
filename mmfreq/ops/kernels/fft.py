"""The operations by ``torch.fft``, on a CPU in pieces that stay in its cache."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmfreq.ops.fft import (
    LowFrequencies,
    column_weights,
    hermitian_for_inverse,
    inverse_of_hermitian,
    irfft2,
    rfft2,
)
from mmfreq.ops.layout import empty_like, like, to_planes, without_slow_strides
from mmfreq.ops.matrices import constant
from mmfreq.ops.tracing import as_int, is_traced, without_autocast

__all__ = [
    'combine',
    'complex_gain',
    'filter_gradients',
    'filter_maps',
    'from_parts',
    'low_pass',
    'to_parts',
    'transform_cosines',
    'with_gradient_by_fft',
]

Piece = tuple[slice, slice]  # samples and channels

WHOLE: Piece = (slice(None), slice(None))

# A CPU works on a batch, if it is small, or on an image, or on some channels of a large image:
# what is made in between then stays in its cache, and in memory that is used again.
SMALL_ELEMENTS = 3 * 2**18
LARGE_ELEMENTS = 2**20
PIECE_ELEMENTS = 2**18
FEWEST_CHANNELS = 16  # one cache line of channels-last features


def filter_maps(x: Tensor, weight: Tensor, coefficients: Tensor | None) -> Tensor:
    """See :data:`mmfreq.ops.filter.KERNELS`; in a graph the plain formula."""
    if not is_traced():
        return with_gradient_by_fft(_filter, x, weight, coefficients)
    size = (x.shape[-2], x.shape[-1])
    z = rfft2(x.to(weight.dtype)) * complex_gain(weight, coefficients, size[1])
    return inverse_of_hermitian(z, size).to(x.dtype)


def with_gradient_by_fft(
    run: Callable[..., Tensor], x: Tensor, weight: Tensor, coefficients: Tensor | None
) -> Tensor:
    """Filter maps by a function that autograd does not look into: the gradient is ours.

    Args:
        run (Callable): Called with the other arguments.
        x (Tensor): See :data:`mmfreq.ops.filter.KERNELS`.
        weight (Tensor): As there.
        coefficients (Tensor, optional): As there.

    Returns:
        Tensor: What ``run`` returns.
    """
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
        of_filters = any(ctx.needs_input_grad[2:])
        return None, *filter_gradients(grad, x, weight, coefficients, of_filters)


def filter_gradients(
    grad: Tensor, x: Tensor, weight: Tensor, coefficients: Tensor | None, of_filters: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Gradients of filtered maps.

    Args:
        grad (Tensor): Gradient of the result, like the features.
        x (Tensor): See :data:`mmfreq.ops.filter.KERNELS`.
        weight (Tensor): As there.
        coefficients (Tensor, optional): As there.
        of_filters (bool): Whether those of the filters are wanted.

    Returns:
        tuple[Tensor, Tensor | None, Tensor | None]: Gradients of features, filters or basis, and
        coefficients.
    """
    if not of_filters:
        with without_autocast(x.device):
            return _filter(grad, weight, coefficients, conjugate=True), None, None
    width, pixels = x.shape[-1], x.shape[-2] * x.shape[-1]
    share = column_weights(weight.dtype, x.device, width) / pixels
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
        return grad_z.mul_(complex_gain(*cut, width).conj())

    with without_autocast(x.device):
        grad_x = _in_pieces(apply, weight.dtype, grad, x)
    return grad_x.to(x.dtype), grad_weight, grad_coefficients


def _filter(
    x: Tensor, weight: Tensor, coefficients: Tensor | None, conjugate: bool = False
) -> Tensor:
    def apply(piece: Piece, maps: Tensor) -> Tensor:
        gain = complex_gain(*_cut(weight, coefficients, piece), x.shape[-1])
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
    y = empty_like(x)
    for sample in range(batch):
        for i in range(0, channels, step):
            piece = (slice(sample, sample + 1), slice(i, i + step))
            maps = (without_slow_strides(part[piece], dtype) for part in features)
            result = torch.fft.irfft2(apply(piece, *maps), s=(height, width))
            y[piece] = like(x, result) if step == channels else result
    return y


def _cut(weight: Tensor, coefficients: Tensor | None, piece: Piece) -> tuple[Tensor, Tensor | None]:
    """The part of the filters, or of a basis and its coefficients, that belongs to a piece."""
    samples, channels = piece
    if coefficients is not None:
        return weight, coefficients[samples, :, channels]
    return (weight[channels] if weight.ndim == 4 else weight[samples, channels]), None


def complex_gain(weight: Tensor, coefficients: Tensor | None, width: int) -> Tensor:
    """Complex filters of a piece, made for a spectrum that :func:`inverse_of_hermitian` gets."""
    # The spectrum of real features is Hermitian: projecting the filters is enough.
    gain = hermitian_for_inverse(torch.view_as_complex(weight.contiguous()), width)
    if coefficients is None:
        return gain
    # Combining is linear with real coefficients: projecting the few basis filters is enough.
    return torch.view_as_complex(combine(coefficients, torch.view_as_real(gain)))


def combine(coefficients: Tensor, basis: Tensor) -> Tensor:
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


def transform_cosines(x: Tensor, dtype: torch.dtype, inverse: bool) -> Tensor:
    """See :data:`mmfreq.ops.dct.KERNELS`."""
    transform = _idct if inverse else _dct
    planes = to_planes(x.permute(0, 3, 1, 2), dtype)
    z = transform(transform(planes).transpose(-2, -1)).transpose(-2, -1)
    return z.permute(0, 2, 3, 1).contiguous()


def _dct(x: Tensor) -> Tensor:
    """DCT-II along the last axis: a real FFT of the even positions and then the odd ones, mirrored.

    J. Makhoul, A fast cosine transform in one and two dimensions, 1980.
    """
    size = as_int(x.shape[-1])
    z = torch.fft.rfft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1), norm='ortho')
    z = z * _half_steps(x.dtype, x.device, size)
    return torch.cat([z.real, -z.imag[..., 1 : (size + 1) // 2].flip(-1)], -1)


def _idct(z: Tensor) -> Tensor:
    """Inverse of :func:`_dct`."""
    size = as_int(z.shape[-1])
    mirrored = F.pad(z.flip(-1)[..., : size // 2], (1, 0))  # z[size - k], and nothing at k = 0
    half = torch.complex(z[..., : size // 2 + 1], -mirrored)
    x = torch.fft.irfft(half / _half_steps(z.dtype, z.device, size), n=size, norm='ortho')
    middle = (size + 1) // 2
    interleaved = x.new_empty(x.shape)
    interleaved[..., ::2], interleaved[..., 1::2] = x[..., :middle], x[..., middle:].flip(-1)
    return interleaved


def _half_step_array(size: int) -> np.ndarray:
    """``sqrt(2) * exp(-i pi k / 2N)`` for the frequencies of a half spectrum, 1 for k = 0."""
    steps = np.sqrt(2) * np.exp(-1j * np.pi / (2 * size) * np.arange(size // 2 + 1))
    steps[0] = 1
    return steps


_half_steps = constant(_half_step_array, is_complex=True)


def to_parts(x: Tensor, norm: str) -> tuple[Tensor, Tensor]:
    """See :data:`mmfreq.ops.spectrum.TO_PARTS`."""
    real, imag = torch.view_as_real(rfft2(x, norm)).unbind(-1)
    return real, imag


def from_parts(real: Tensor, imag: Tensor, width: int, norm: str) -> Tensor:
    """See :data:`mmfreq.ops.spectrum.FROM_PARTS`."""
    return irfft2(torch.complex(real, imag), (real.shape[-2], width), norm)


def low_pass(x: Tensor, kept: LowFrequencies) -> list[Tensor]:
    """See :data:`mmfreq.ops.bands.LOW_PASS`."""
    z = rfft2(x)
    height, width = as_int(x.shape[-2]), as_int(x.shape[-1])
    lows = []
    for num_rows, columns in kept.sizes:
        key = ((height, width // 2 + 1), kept.rows[:num_rows], columns)
        is_high = _low_mask(x.dtype, x.device, key) < 0.5
        lows.append(irfft2(z.masked_fill(is_high, 0), (height, width)))
    return lows


@constant
def _low_mask(key: tuple[tuple[int, int], tuple[int, ...], int]) -> np.ndarray:
    """1 where a coefficient is kept, else 0: by the size of the spectrum, rows and columns."""
    size, rows, columns = key
    mask = np.zeros(size)
    mask[list(rows), :columns] = 1
    return mask
