"""Copies between channels-last features and contiguous planes."""

import torch
from torch import Tensor

from mmfreq.ops.tracing import is_traced

__all__ = [
    'empty_like',
    'is_channels_last',
    'like',
    'to_channels_last',
    'to_planes',
    'without_slow_strides',
]

SLOW_STRIDE = 512  # bytes: lines this far apart compete for few places of a CPU's cache
PADDING = 64  # bytes: one cache line
FEWEST_BYTES = 2**17  # smaller features fit into the cache anyway


def is_channels_last(x: Tensor) -> bool:
    """Whether features ``(B, C, H, W)`` are channels-last in memory, and not contiguous as well."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def like(x: Tensor, y: Tensor) -> Tensor:
    """Features in dtype and memory format (contiguous or channels-last) of others.

    Args:
        x (Tensor): Features of shape ``(B, C, H, W)``.
        y (Tensor): Features of the same shape in any memory format.

    Returns:
        Tensor: ``y`` as ``x`` is; itself if it is that already.
    """
    return to_channels_last(y, x.dtype) if is_channels_last(x) else to_planes(y, x.dtype)


def empty_like(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Features without content, of the shape of others and in the memory format of :func:`like`.

    Args:
        x (Tensor): Features of shape ``(B, C, H, W)``.
        dtype (torch.dtype, optional): Of the result. Defaults to None: that of ``x``.

    Returns:
        Tensor: The features.
    """
    layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    return torch.empty_like(x, dtype=dtype, memory_format=layout)


def to_planes(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Contiguous planes of features in any memory format.

    Args:
        x (Tensor): Features of shape ``(B, C, H, W)``.
        dtype (torch.dtype): Of the result.

    Returns:
        Tensor: Contiguous features of shape ``(B, C, H, W)``; ``x`` itself if it is that already.
    """
    x = without_slow_strides(x, dtype)
    return x.to(dtype, memory_format=torch.contiguous_format)


def without_slow_strides(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Features whose planes a Fourier transform reads quickly.

    Args:
        x (Tensor): Features of shape ``(B, C, H, W)`` in any memory format.
        dtype (torch.dtype): Of the result.

    Returns:
        Tensor: Features of shape ``(B, C, H, W)``. On a CPU in the order of ``x``, with gaps in
        memory where its cache is bad at the stride; elsewhere contiguous. ``x`` itself if nothing
        is to be done.
    """
    if x.device.type != 'cpu':
        return x.to(dtype, memory_format=torch.contiguous_format)
    if _is_slow(x, x.stride(-1)):
        return _with_padding(x.permute(0, 2, 3, 1), dtype).permute(0, 3, 1, 2)
    if 0 in x.stride():  # expanded, as the gradient of a sum is; MKL of torch 2.6 refuses it
        return x.contiguous().to(dtype)
    return x.to(dtype)


def to_channels_last(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Features that are channels-last in memory.

    Args:
        x (Tensor): Features of shape ``(B, C, H, W)`` in any memory format.
        dtype (torch.dtype): Of the result.

    Returns:
        Tensor: Features of shape ``(B, C, H, W)``; ``x`` itself if it is that already.
    """
    if x.device.type == 'cpu' and _is_slow(x, x.stride(1)):
        x = _with_padding(x.flatten(2), dtype).unflatten(2, x.shape[2:])
    return x.to(dtype, memory_format=torch.channels_last)


def _is_slow(x: Tensor, stride: int) -> bool:
    """Whether a transposing copy would read with a stride that a CPU's cache is bad at."""
    size = x.element_size()
    return (
        not is_traced()
        and stride > 1
        and stride * size % SLOW_STRIDE == 0
        and x.numel() * size >= FEWEST_BYTES
    )


def _with_padding(x: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy whose rows, along the last axis, do not start at multiples of the slow stride."""
    size = x.shape[-1]
    padded = x.new_empty(*x.shape[:-1], size + PADDING // dtype.itemsize, dtype=dtype)
    return padded[..., :size].copy_(x)
