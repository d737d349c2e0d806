"""Cosine transforms of small feature maps in one CUDA kernel: both axes while a map is on the chip.

Where two products with matrices read and write the features twice, this does it once.
"""

from functools import lru_cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmfreq.ops.kernels.triton.tiles import (
    launch_options,
    load_map,
    load_matrix,
    padded,
    product,
    store_map,
    tile,
)
from mmfreq.ops.matrices import cosines

__all__ = ['transform_in_one_kernel']


def transform_in_one_kernel(x: Tensor, inverse: bool) -> Tensor:
    """Orthonormal DCT-II of feature maps, or its inverse.

    Args:
        x (Tensor): Feature maps of at most 64 pixels a side, shape ``(B, C, H, W)``, any strides.
        inverse (bool): Whether to compute the inverse.

    Returns:
        Tensor: Coefficients in float32, in the memory format of ``x``.
    """
    return _Transform.apply(x, inverse)


class _Transform(torch.autograd.Function):
    """An orthonormal transform: the gradient is its inverse."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, inverse: bool) -> Tensor:
        ctx.inverse, ctx.dtype = inverse, x.dtype
        return _launch(x, inverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _launch(grad, not ctx.inverse).to(ctx.dtype), None


def _launch(x: Tensor, inverse: bool) -> Tensor:
    batch, channels, height, width = x.shape
    y = torch.empty_like(x, dtype=torch.float32)
    matrices, tiles = _matrices(height, width, x.device, inverse)
    _transform_kernel[(batch * channels,)](
        *(x, y, *matrices), *(channels, height, width), *(*x.stride(), *y.stride()), **tiles
    )
    return y


@lru_cache(maxsize=64)
def _matrices(
    height: int, width: int, device: torch.device, inverse: bool
) -> tuple[tuple[Tensor, Tensor], dict[str, int]]:
    """What a map is multiplied with from the left and from the right, and tile sizes."""
    rows, columns = cosines(height), cosines(width).T
    if inverse:
        rows, columns = rows.T, columns.T
    tile_height, tile_width = tile(height), tile(width)
    matrices = (
        padded(rows, (tile_height, tile_height), device),
        padded(columns, (tile_width, tile_width), device),
    )
    tiles = dict(TILE_H=tile_height, TILE_W=tile_width)
    return matrices, tiles | launch_options(tile_height, tile_width)


@triton.jit
def _transform_kernel(  # type: ignore[no-untyped-def]
    x_pointer,
    y_pointer,
    row_matrix,
    col_matrix,
    channels,
    height,
    width,
    x_batch,
    x_channel,
    x_row,
    x_col,
    y_batch,
    y_channel,
    y_row,
    y_col,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
):
    """One map: a product with each matrix."""
    program = tl.cast(tl.program_id(0), tl.int64)
    sample, channel = program // channels, program % channels
    strides = (x_batch, x_channel, x_row, x_col)
    x = load_map(x_pointer, sample, channel, height, width, strides, TILE_H, TILE_W)
    y = product(x, load_matrix(col_matrix, TILE_W, TILE_W))
    y = product(load_matrix(row_matrix, TILE_H, TILE_H), y)
    strides = (y_batch, y_channel, y_row, y_col)
    store_map(y_pointer, y, sample, channel, height, width, strides, TILE_H, TILE_W)
