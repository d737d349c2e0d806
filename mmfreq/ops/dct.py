"""Discrete cosine transforms of real feature maps."""

from collections.abc import Callable

import torch
from torch import Tensor

from mmfreq.ops.choice import choose_kernel
from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.kernels import fft, gemm
from mmfreq.ops.kernels.triton import load as triton
from mmfreq.ops.tracing import without_autocast

__all__ = ['KERNELS', 'dct2', 'dct_frequencies', 'idct2']

# Features (B, H, W, C) in any dtype, the dtype to compute in, whether to compute the inverse;
# autocast is off.
KERNELS: dict[str, Callable[[Tensor, torch.dtype, bool], Tensor]] = {
    'fft': fft.transform_cosines,
    'gemm': gemm.transform_cosines,
    'triton': triton.transform_cosines,
}


def dct2(x: Tensor, backend: str = 'auto') -> Tensor:
    """Orthonormal two-dimensional DCT-II of each channel.

    ``X[n, m] = sum_ij D_H[n, i] D_W[m, j] x[i, j]`` with ``D_N[n, i] = sqrt(2 / N) *
    cos(pi * n * (i + 1/2) / N)``, row 0 divided by ``sqrt(2)``. The matrices are orthogonal, so the
    norm is kept and :func:`idct2` is also the gradient. With ``gemm`` the cost is that of two
    matrix products, ``H * W * (H + W)`` multiply-adds per channel; ``fft`` transforms reordered
    rows and columns with real FFTs of the same length.

    Args:
        x (Tensor): Real features, channels-last, shape ``(B, H, W, C)`` with ``H, W >= 1``. float16
            and bfloat16 are transformed in float32, with autocast off.
        backend (str): See :mod:`mmfreq.ops.choice`; ``'mixed'`` means ``'gemm'`` here. Defaults
            to ``'auto'``.

    Returns:
        Tensor: Coefficients of the same shape: float64 for float64, float32 else. Index ``n``
        along H is the frequency ``n / (2 * H)`` in cycles per pixel, see :func:`dct_frequencies`.

    Raises:
        ValueError: If ``x`` does not have four axes or has an empty one along H or W, or
            ``backend`` is unknown.
    """
    return _transform(x, False, backend)


def idct2(z: Tensor, dtype: torch.dtype | None = None, backend: str = 'auto') -> Tensor:
    """Inverse of :func:`dct2`.

    Args:
        z (Tensor): Coefficients, shape ``(B, H, W, C)``.
        dtype (torch.dtype, optional): Dtype of the result. Defaults to None: the one of the
            transform.
        backend (str): As in :func:`dct2`. Defaults to ``'auto'``.

    Returns:
        Tensor: Features of the same shape.

    Raises:
        ValueError: As in :func:`dct2`.
    """
    x = _transform(z, True, backend)
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


def _transform(x: Tensor, inverse: bool, backend: str) -> Tensor:
    if x.ndim != 4 or 0 in x.shape[1:3]:
        raise ValueError(
            f'a DCT needs features of shape (B, H, W, C), at least 1 x 1, got {tuple(x.shape)}'
        )
    _, height, width, channels = x.shape
    with without_autocast(x.device):
        maps = x.permute(0, 3, 1, 2)
        kernel = choose_kernel(KERNELS, backend, maps, (height, width), channels, 'dct')
        return kernel(x, compute_dtype(x), inverse)
