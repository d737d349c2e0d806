"""Discrete cosine transforms of real feature maps, by products with cached matrices."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from mmfreq.ops.fft import compute_dtype

__all__ = ['dct2', 'dct_frequencies', 'idct2']


def dct2(x: Tensor) -> Tensor:
    """Orthonormal two-dimensional DCT-II of each channel.

    ``X[n, m] = sum_ij D_H[n, i] D_W[m, j] x[i, j]`` with ``D_N[n, i] = sqrt(2 / N) *
    cos(pi * n * (i + 1/2) / N)``, row 0 divided by ``sqrt(2)``. The matrices are orthogonal, so the
    norm is kept and :func:`idct2` is also the gradient. The cost is that of two matrix products,
    ``H * W * (H + W)`` multiply-adds per channel.

    Args:
        x (Tensor): Real features, channels-last, shape ``(B, H, W, C)`` with ``H, W >= 1``. float16
            and bfloat16 are transformed in float32, with autocast off.

    Returns:
        Tensor: Coefficients of the same shape: float64 for float64, float32 else. Index ``n``
        along H is the frequency ``n / (2 * H)`` in cycles per pixel, see :func:`dct_frequencies`.

    Raises:
        ValueError: If ``x`` does not have four axes or has an empty one along H or W.
    """
    return _transform(x, inverse=False)


def idct2(z: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Inverse of :func:`dct2`.

    Args:
        z (Tensor): Coefficients, shape ``(B, H, W, C)``.
        dtype (torch.dtype, optional): Dtype of the result. Defaults to None: the one of the
            transform.

    Returns:
        Tensor: Features of the same shape.

    Raises:
        ValueError: As in :func:`dct2`.
    """
    x = _transform(z, inverse=True)
    return x if dtype is None else x.to(dtype)


def dct_frequencies(size: int, device: torch.device | None = None) -> Tensor:
    """Frequency of each DCT coefficient along an axis.

    Args:
        size (int): Number of positions along the axis.
        device (torch.device, optional): Of the result. Defaults to None: the current one.

    Returns:
        Tensor: Frequencies in cycles per pixel, ``0`` to below ``1/2``, float64, shape ``(size,)``.
    """
    return torch.arange(size, dtype=torch.float64, device=device) / (2 * size)


def _transform(x: Tensor, inverse: bool) -> Tensor:
    if x.ndim != 4 or 0 in x.shape[1:3]:
        raise ValueError(
            f'a DCT needs features of shape (B, H, W, C), at least 1 x 1, got {tuple(x.shape)}'
        )
    dtype = compute_dtype(x)
    # While a network is traced, sizes are tensors, which would never be found again.
    rows, columns = (_dct_matrix(int(x.shape[axis]), dtype, x.device) for axis in (1, 2))
    if inverse:
        rows, columns = rows.T, columns.T
    with torch.autocast(x.device.type, enabled=False):
        z = columns @ x.to(dtype)
        return (rows @ z.flatten(2)).reshape(z.shape)


@lru_cache(maxsize=64)
def _dct_matrix(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():  # a cached tensor may be needed by autograd
        positions = torch.arange(size, dtype=torch.float64, device=device) + 0.5
        angles = math.pi * torch.arange(size, dtype=torch.float64, device=device) / size
        matrix = (angles[:, None] * positions).cos() * math.sqrt(2 / size)
        matrix[0] /= math.sqrt(2)
        return matrix.to(dtype)
