"""Inverse transform of large images as products with small matrices, for graphs.

A transform of ``N = N1 * N2`` values is two rounds of shorter ones (Cooley and Tukey, 1965). With
frequency ``k = k1 * N2 + k2`` and position ``n = n2 * N1 + n1``, the first round sums over ``k1``,
the second over ``k2``::

    y[n1, k2] = sum_k1 exp(2 pi i n1 k1 / N1) z[k1, k2]
    x[n2, n1] = sum_k2 exp(2 pi i k2 n / N) y[n1, k2]

For the 1536 rows of a 3x3 kernel of 512 channels that is a nineteenth of the work of one product,
and matrices of 1 MB in place of 38.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmfreq.ops.matrices import constant, shares
from mmfreq.ops.tracing import as_int

__all__ = ['inverse_of_large']


def inverse_of_large(real: Tensor, imag: Tensor, width: int) -> Tensor:
    """Orthonormal inverse of a half spectrum, Hermitian or not; it uses the Hermitian part.

    Args:
        real (Tensor): Real part in float32 or float64, shape ``(..., H, W // 2 + 1)``.
        imag (Tensor): Imaginary part, same shape.
        width (int): Width ``W`` of the images.

    Returns:
        Tensor: Images of shape ``(..., H, W)``.
    """
    height, columns = as_int(real.shape[-2]), width // 2 + 1
    parts = torch.stack([real.reshape(-1, height, columns), imag.reshape(-1, height, columns)], 1)
    half = _along_rows(parts, height).transpose(2, 3)
    images = _along_half(half, width).transpose(1, 2)
    return images.reshape(*real.shape[:-1], width)


def _along_rows(z: Tensor, size: int) -> Tensor:
    """Inverse along the first axis of complex images, ``(B, 2, N, M)`` to ``(B, 2, N, M)``."""
    n1, n2 = _factors(size)
    others = z.shape[-1]
    y = _first(z.dtype, z.device, (size, n1)) @ z.reshape(-1, 2 * n1, n2 * others)
    x = _second(z.dtype, z.device, size) @ y.reshape(-1, n1, 2 * n2, others)
    return x.reshape(-1, n1, 2, n2, others).permute(0, 2, 3, 1, 4).reshape(-1, 2, size, others)


def _along_half(z: Tensor, size: int) -> Tensor:
    """Inverse along a half spectrum's axis, ``(B, 2, N // 2 + 1, M)`` to real ``(B, N, M)``."""
    n1, n2 = _factors(size)
    others, known = z.shape[-1], z.shape[-2]
    k1 = -(-known // n2)
    z = z * _shares(z.dtype, z.device, size)[:, None]  # most frequencies stand for two
    z = F.pad(z, (0, 0, 0, k1 * n2 - known))
    y = _first(z.dtype, z.device, (size, k1)) @ z.reshape(-1, 2 * k1, n2 * others)
    real = _second(z.dtype, z.device, size)[:, :n2]
    x = real @ y.reshape(-1, n1, 2 * n2, others)
    return x.transpose(1, 2).reshape(-1, size, others)


def _factors(size: int) -> tuple[int, int]:
    """``N1`` and ``N2``, as equal as possible; 1 and ``N`` for a prime number."""
    small = next(n for n in range(math.isqrt(size), 0, -1) if size % n == 0)
    return small, size // small


@constant
def _first(size: tuple[int, int]) -> np.ndarray:
    """The first round, ``(2 * N1, 2 * K1)``: ``size`` is ``N`` and the number of ``k1``.

    Real and imaginary parts are one half each of the input, and neighbours in the output.
    """
    n1, _ = _factors(size[0])
    angles = 2 * np.pi * (np.outer(np.arange(n1), np.arange(size[1])) % n1) / n1
    cosine, sine = np.cos(angles), np.sin(angles)
    rows = np.stack([np.hstack([cosine, -sine]), np.hstack([sine, cosine])], 1)
    return rows.reshape(2 * n1, 2 * size[1])


@constant
def _second(size: int) -> np.ndarray:
    """The second round, ``(N1, 2 * N2, 2 * N2)``; parts are halves of input and output."""
    n1, n2 = _factors(size)
    positions = np.arange(n2) * n1 + np.arange(n1)[:, None]
    angles = 2 * np.pi * (positions[..., None] * np.arange(n2) % size) / size
    cosine, sine = np.cos(angles) / np.sqrt(size), np.sin(angles) / np.sqrt(size)
    return np.concatenate(
        [np.concatenate([cosine, -sine], 2), np.concatenate([sine, cosine], 2)], 1
    )


_shares = constant(shares)
