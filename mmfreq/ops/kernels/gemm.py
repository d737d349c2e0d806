"""The operations as products with matrices, in real arithmetic.

A transform of ``N`` values costs ``N * N`` instead of ``N log N``, but matrix products are what
every device, compiler and exporter is best at: small maps are faster than with an FFT, and no
complex number appears in a graph.
"""

import numpy as np
import torch
from torch import Tensor

from mmfreq.ops.derived import derived
from mmfreq.ops.fft import LowFrequencies, compute_dtype
from mmfreq.ops.kernels.factored import inverse_of_large
from mmfreq.ops.layout import like
from mmfreq.ops.matrices import constant, cosines, shares, waves
from mmfreq.ops.products import product_along_columns, product_along_rows, product_of_parts
from mmfreq.ops.tracing import as_int, is_traced, without_autocast

__all__ = ['filter_maps', 'from_parts', 'low_pass', 'to_parts', 'transform_cosines']

LARGE = 256  # a side from which on one product is slower than two rounds of small ones


def filter_maps(x: Tensor, weight: Tensor, coefficients: Tensor | None) -> Tensor:
    """See :data:`mmfreq.ops.filter.KERNELS`."""
    if is_traced() or torch.is_grad_enabled():
        stored = _gains(weight)
    else:
        stored = derived(weight, 'gains', _gains)
    real, imag = stored[0], stored[1]
    if coefficients is not None:
        size = (x.shape[0], weight.shape[1], -1)
        real = (real.reshape(-1, weight.shape[0]) @ coefficients).reshape(size)
        imag = (imag.reshape(-1, weight.shape[0]) @ coefficients).reshape(size)
    features = x.to(weight.dtype).permute(0, 2, 3, 1)
    return like(x, _filter_by_products(features.contiguous(), (real, imag)).permute(0, 3, 1, 2))


def _filter_by_products(x: Tensor, gains: tuple[Tensor, Tensor]) -> Tensor:
    """Multiply the spectrum of real features with filters.

    Args:
        x (Tensor): Features in float32 or float64, channels-last, shape ``(B, H, W, C)``.
        gains (tuple[Tensor, Tensor]): Real and imaginary parts of filters, each of shape
            ``(H, (W // 2 + 1) * C)`` or ``(B, H, (W // 2 + 1) * C)``.

    Returns:
        Tensor: Filtered features of shape ``(B, H, W, C)``.
    """
    dtype, device = x.dtype, x.device
    batch, channels = x.shape[0], x.shape[3]
    height, width = as_int(x.shape[1]), as_int(x.shape[2])
    half = product_along_columns(x.flatten(0, 1), _columns(dtype, device, width))
    half = half.reshape(batch, 2 * height, (width // 2 + 1) * channels)
    real = product_along_columns(half, _real_rows(dtype, device, height))
    imag = product_along_columns(half, _imaginary_rows(dtype, device, height))
    real, imag = product_of_parts((real, imag), gains)
    # The sum of two products and not the product of joined parts: graphs then copy nothing.
    half = product_along_columns(real, _real_rows(dtype, device, height).T)
    half = half + product_along_columns(imag, _imaginary_rows(dtype, device, height).T)
    half = half.reshape(batch * height, 2 * (width // 2 + 1), channels)
    y = product_along_columns(half, _inverse_columns(dtype, device, width))
    return y.reshape(x.shape)


def _gains(weight: Tensor) -> Tensor:
    """Filters ``(..., C, H, W // 2 + 1, 2)`` as parts ``(2, ..., H, (W // 2 + 1) * C)``."""
    return weight.movedim(-4, -2).movedim(-1, 0).flatten(-2)


def transform_cosines(x: Tensor, dtype: torch.dtype, inverse: bool) -> Tensor:
    """See :data:`mmfreq.ops.dct.KERNELS`."""
    rows = _cosines(dtype, x.device, as_int(x.shape[1]))
    columns = _cosines(dtype, x.device, as_int(x.shape[2]))
    if inverse:
        rows, columns = rows.T, columns.T
    z = product_along_columns(x.to(dtype).flatten(0, 1), columns).reshape(x.shape)
    return product_along_columns(z.flatten(2), rows).reshape(z.shape)


def to_parts(x: Tensor, norm: str) -> tuple[Tensor, Tensor]:
    """See :data:`mmfreq.ops.spectrum.TO_PARTS`."""
    with without_autocast(x.device):
        real, imag = _rdft2(x.to(compute_dtype(x)))
        scale = _scale(x.shape[-2] * x.shape[-1], norm)
        return (real, imag) if scale == 1 else (real * scale, imag * scale)


def from_parts(real: Tensor, imag: Tensor, width: int, norm: str) -> Tensor:
    """See :data:`mmfreq.ops.spectrum.FROM_PARTS`."""
    with without_autocast(real.device):
        is_large = max(real.shape[-2], width) > LARGE
        images = (inverse_of_large if is_large else _irdft2)(real, imag, width)
        scale = _scale(real.shape[-2] * width, norm)
        return images if scale == 1 else images / scale


def low_pass(x: Tensor, kept: LowFrequencies) -> list[Tensor]:
    """See :data:`mmfreq.ops.bands.LOW_PASS`; other coefficients are not computed at all."""
    dtype, device = x.dtype, x.device
    height, width = as_int(x.shape[-2]), as_int(x.shape[-1])
    rows = _low_rows(dtype, device, (height, kept.rows))
    columns = max(columns for _, columns in kept.sizes)
    half = product_along_rows(
        x.reshape(-1, height, width), _low_columns(dtype, device, (width, columns))
    )
    spectrum = product_along_columns(half.reshape(-1, 2 * height, columns), rows)
    lows = []
    for num_rows, columns in kept.sizes:
        low = spectrum[:, : 2 * num_rows, :columns].contiguous()
        half = product_along_columns(low, rows[: 2 * num_rows].T)
        half = half.reshape(-1, height, 2 * columns)
        low = product_along_rows(half, _low_inverse_columns(dtype, device, (width, columns)))
        lows.append(low.reshape(x.shape))
    return lows


def _rdft2(x: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal half spectrum of real images.

    Args:
        x (Tensor): Images in float32 or float64, shape ``(..., H, W)``.

    Returns:
        tuple[Tensor, Tensor]: Real and imaginary part, each ``(..., H, W // 2 + 1)``.
    """
    height, width = as_int(x.shape[-2]), as_int(x.shape[-1])
    half = x @ _columns(x.dtype, x.device, width).T
    half = half.reshape(*x.shape[:-2], 2 * height, width // 2 + 1)
    spectrum = _rows(x.dtype, x.device, height) @ half
    return spectrum[..., :height, :], spectrum[..., height:, :]


def _irdft2(real: Tensor, imag: Tensor, width: int) -> Tensor:
    """Inverse of :func:`_rdft2` for any half spectrum.

    Like :func:`mmfreq.ops.irfft2` it uses the Hermitian part.

    Args:
        real (Tensor): Real part, shape ``(..., H, W // 2 + 1)``.
        imag (Tensor): Imaginary part, same shape.
        width (int): Width ``W`` of the images.

    Returns:
        Tensor: Images of shape ``(..., H, W)``.
    """
    height = as_int(real.shape[-2])
    half = _rows(real.dtype, real.device, height).T @ torch.cat([real, imag], -2)
    half = half.reshape(*real.shape[:-2], height, 2 * (width // 2 + 1))
    return half @ _inverse_columns(real.dtype, real.device, width).T


def _scale(size: int, norm: str) -> float:
    """Factor between an orthonormal spectrum of ``size`` pixels and one of another norm."""
    return {'ortho': 1.0, 'backward': size**0.5, 'forward': size**-0.5}[norm]


_cosines = constant(cosines)


@constant
def _columns(width: int) -> np.ndarray:
    """Transform along W, ``(2W', W)`` with ``W' = W // 2 + 1``: cosines, then negative sines."""
    cosine, sine = waves(width, width // 2 + 1)
    return np.concatenate([cosine, -sine])


@constant
def _real_rows(height: int) -> np.ndarray:
    """Real part of the transform along H of complex rows, ``(H, 2H)``.

    Real and imaginary part of a row of the map are neighbours. The inverse is the transposed one.
    """
    return _complex_rows(height)[0]


@constant
def _imaginary_rows(height: int) -> np.ndarray:
    """Imaginary part of the transform along H of complex rows, ``(H, 2H)``."""
    return _complex_rows(height)[1]


@constant
def _rows(height: int) -> np.ndarray:
    """Transform along H of complex rows, ``(2H, 2H)``: real, then imaginary parts.

    Real and imaginary part of a row of the map are neighbours, those of the spectrum are not. The
    inverse is the transposed one.
    """
    return np.concatenate(_complex_rows(height))


@constant
def _inverse_columns(width: int) -> np.ndarray:
    """Inverse of the transform along W, ``(W, 2W')``; most columns stand for two."""
    cosine, sine = waves(width, width // 2 + 1)
    twice = shares(width)[:, None]
    return np.concatenate([cosine * twice, -sine * twice]).T


@constant
def _low_columns(size: tuple[int, int]) -> np.ndarray:
    """:func:`_columns` of the first frequencies: ``size`` is ``W`` and their number."""
    return np.concatenate(_low_waves(size))


@constant
def _low_inverse_columns(size: tuple[int, int]) -> np.ndarray:
    """:func:`_inverse_columns` of the first frequencies."""
    width, columns = size
    return np.concatenate(_low_waves(size)).T * np.tile(shares(width)[:columns], 2)


def _low_waves(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    cosine, sine = waves(*size)
    return cosine, -sine


@constant
def _low_rows(size: tuple[int, tuple[int, ...]]) -> np.ndarray:
    """Transform along H of complex rows for some frequencies: ``size`` is ``H`` and these.

    Real and imaginary part are neighbours in map and spectrum; the inverse is the transposed one.
    """
    height, rows = size
    pairs = np.stack(_complex_rows(height), 1)[list(rows)]
    return pairs.reshape(-1, 2 * height)


def _complex_rows(height: int) -> tuple[np.ndarray, np.ndarray]:
    cosine, sine = waves(height, height)
    real = np.stack([cosine, sine], -1).reshape(height, -1)
    imag = np.stack([-sine, cosine], -1).reshape(height, -1)
    return real, imag
