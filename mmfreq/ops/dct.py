"""Discrete cosine transforms of real feature maps."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmfreq.ops.choice import choose_backend
from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.kernels.triton.load import triton_kernels
from mmfreq.ops.layout import to_planes
from mmfreq.ops.matrices import constant, cosines
from mmfreq.ops.tracing import is_traced

__all__ = ['dct2', 'dct_frequencies', 'idct2']


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
    # While a network is traced, sizes are tensors, which would never be found again.
    height, width = int(x.shape[1]), int(x.shape[2])
    dtype = compute_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        maps = x.permute(0, 3, 1, 2)
        backend = choose_backend(backend, maps, (height, width), x.shape[3], 'dct')
        if backend == 'triton' and not is_traced():
            kernels = triton_kernels('dct', maps, dtype, instead='gemm')
            if kernels is not None:
                return kernels.transform_in_one_kernel(maps, inverse).permute(0, 2, 3, 1)
        if backend == 'fft':
            transform = _idct if inverse else _dct
            planes = to_planes(maps, dtype)
            z = transform(transform(planes).transpose(-2, -1)).transpose(-2, -1)
            return z.permute(0, 2, 3, 1).contiguous()
        rows, columns = (_dct_matrix(dtype, x.device, side) for side in (height, width))
        if inverse:
            rows, columns = rows.T, columns.T
        z = columns @ x.to(dtype)
        return (rows @ z.flatten(2)).reshape(z.shape)


def _dct(x: Tensor) -> Tensor:
    """DCT-II along the last axis: a real FFT of the even positions and then the odd ones, mirrored.

    J. Makhoul, A fast cosine transform in one and two dimensions, 1980.
    """
    size = int(x.shape[-1])
    z = torch.fft.rfft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1), norm='ortho')
    z = z * _half_steps(x.dtype, x.device, size)
    return torch.cat([z.real, -z.imag[..., 1 : (size + 1) // 2].flip(-1)], -1)


def _idct(z: Tensor) -> Tensor:
    """Inverse of :func:`_dct`."""
    size = int(z.shape[-1])
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


_dct_matrix = constant(cosines)
