"""Discrete cosine transforms of real feature maps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mmfreq.ops.choice import choose_backend, choose_kernel
from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.kernels import fft, gemm
from mmfreq.ops.kernels.triton import load as triton
from mmfreq.ops.tracing import is_compiled_for_cpu, without_autocast

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
    maps = x.permute(0, 3, 1, 2)
    if is_compiled_for_cpu(x):
        backend = choose_backend(backend, maps, (height, width), channels, 'dct')
        return _operator(x, inverse, backend)
    kernel = choose_kernel(KERNELS, backend, maps, (height, width), channels, 'dct')
    with without_autocast(x.device):
        return kernel(x, compute_dtype(x), inverse)


# Compiled for a CPU, a transform is an operator that the compiler does not look into: it would call
# the products and their matrices one by one.


@torch.library.custom_op('mmfreq::transform_cosines', mutates_args=())
def _operator(x: Tensor, inverse: bool, backend: str) -> Tensor:
    kernel = KERNELS.get(backend, gemm.transform_cosines)
    with without_autocast(x.device):
        z = kernel(x, compute_dtype(x), inverse)
    return z.contiguous()


@_operator.register_fake
def _(x: Tensor, inverse: bool, backend: str) -> Tensor:
    return x.new_empty(x.shape, dtype=compute_dtype(x))


def _keep_arguments(ctx: Any, inputs: tuple[Tensor, bool, str], output: Tensor) -> None:
    x, ctx.inverse, ctx.backend = inputs
    ctx.dtype = x.dtype


def _gradient(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    return _operator(grad, not ctx.inverse, ctx.backend).to(ctx.dtype), None, None


_operator.register_autograd(_gradient, setup_context=_keep_arguments)
