"""Filtering of small feature maps in one CUDA kernel: transform, filter, inverse, nothing between.

One program has one map of up to 64 x 64 pixels on the chip. Its transforms are products with
matrices, which tensor cores are good at: the kernel reads the features once and writes them once,
where separate transforms read and write spectra of the same size several times. Maps have any
height and width: tiles and matrices are padded with zeros, which changes no result.
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
from mmfreq.ops.matrices import shares, waves

__all__ = ['filter_in_one_kernel']

PROGRAMS = 2048  # enough to fill a GPU when gradients of few channels are summed over a batch


def filter_in_one_kernel(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply the spectrum of feature maps with filters.

    Args:
        x (Tensor): Feature maps of at most 64 pixels a side, shape ``(B, C, H, W)``, any strides.
        weight (Tensor): Filters in float32, real and imaginary parts, shape
            ``(C, H, W // 2 + 1, 2)`` or ``(B, C, H, W // 2 + 1, 2)``.

    Returns:
        Tensor: Filtered maps like ``x``.
    """
    return _Filter.apply(x, weight)


class _Filter(torch.autograd.Function):
    """The gradient of the features is the same kernel with conjugate filters."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _launch_filter(x, weight, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight = ctx.needs_input_grad
        grad_x = _launch_filter(grad.to(x.dtype), weight, -1.0) if needs_x else None
        grad_weight = _launch_gradient(x, grad, weight) if needs_weight else None
        return grad_x, grad_weight


def _launch_filter(x: Tensor, weight: Tensor, sign: float) -> Tensor:
    batch, channels, height, width = x.shape
    weight = weight.contiguous()
    y = torch.empty_like(x)
    matrices, tiles = _matrices(height, width, x.device)
    _filter_kernel[(batch * channels,)](
        *(x, y, weight, *matrices),
        *(channels, height, width, sign),
        *(*x.stride(), *y.stride()),
        weight.stride(0) if weight.ndim == 5 else 0,
        **tiles,
    )
    return y


def _launch_gradient(x: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    parts = batch if weight.ndim == 5 else min(batch, max(PROGRAMS // channels, 1))
    partial = weight.new_empty(parts, channels, height, width // 2 + 1, 2)
    matrices, tiles = _matrices(height, width, x.device)
    _gradient_kernel[(parts * channels,)](
        *(x, grad, partial, *matrices[:4], matrices[6]),
        *(batch, channels, height, width, parts),
        *(*x.stride(), *grad.stride()),
        **tiles,
    )
    return partial if weight.ndim == 5 else partial.sum(0)


@lru_cache(maxsize=64)
def _matrices(
    height: int, width: int, device: torch.device
) -> tuple[tuple[Tensor, ...], dict[str, int]]:
    """Cosines and sines of rows, of columns, of the inverse, counts of columns; and tile sizes."""
    columns = width // 2 + 1
    tile_height, tile_width, tile_columns = tile(height), tile(width), tile(columns)
    row_cos, row_sin = waves(height, height)
    col_cos, col_sin = waves(width, columns)
    twice = shares(width)[:, None]
    arrays = (
        (row_cos, (tile_height, tile_height)),
        (row_sin, (tile_height, tile_height)),
        (col_cos.T, (tile_width, tile_columns)),
        (-col_sin.T, (tile_width, tile_columns)),
        (twice * col_cos, (tile_columns, tile_width)),
        (-twice * col_sin, (tile_columns, tile_width)),
        (twice, (tile_columns, 1)),
    )
    matrices = tuple(padded(array, shape, device) for array, shape in arrays)
    tiles = dict(TILE_H=tile_height, TILE_W=tile_width, TILE_V=tile_columns)
    return matrices, tiles | launch_options(tile_height, tile_width)


@triton.jit
def _transform(  # type: ignore[no-untyped-def]
    x,
    row_cos,
    row_sin,
    col_cos,
    col_sin,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
    TILE_V: tl.constexpr,
):
    """Real and imaginary part of the spectrum of a map."""
    real = product(x, load_matrix(col_cos, TILE_W, TILE_V))
    imag = product(x, load_matrix(col_sin, TILE_W, TILE_V))
    cosine, sine = load_matrix(row_cos, TILE_H, TILE_H), load_matrix(row_sin, TILE_H, TILE_H)
    return (
        product(cosine, real) + product(sine, imag),
        product(cosine, imag) - product(sine, real),
    )


@triton.jit
def _filter_kernel(  # type: ignore[no-untyped-def]
    x_pointer,
    y_pointer,
    weight_pointer,
    row_cos,
    row_sin,
    col_cos,
    col_sin,
    inverse_cos,
    inverse_sin,
    _counts,
    channels,
    height,
    width,
    sign,
    x_batch,
    x_channel,
    x_row,
    x_col,
    y_batch,
    y_channel,
    y_row,
    y_col,
    weight_batch,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
    TILE_V: tl.constexpr,
):
    """One map: ``y = irfft2(rfft2(x) * weight)``, with conjugate filters for ``sign = -1``."""
    program = tl.cast(tl.program_id(0), tl.int64)
    sample, channel = program // channels, program % channels
    strides = (x_batch, x_channel, x_row, x_col)
    x = load_map(x_pointer, sample, channel, height, width, strides, TILE_H, TILE_W)
    real, imag = _transform(x, row_cos, row_sin, col_cos, col_sin, TILE_H, TILE_W, TILE_V)

    half = width // 2 + 1
    rows, frequencies = tl.arange(0, TILE_H)[:, None], tl.arange(0, TILE_V)[None, :]
    known = (rows < height) & (frequencies < half)
    start = weight_pointer + sample * weight_batch + channel * (height * half * 2)
    gains = start + (rows * half + frequencies) * 2
    gain_real = tl.load(gains, mask=known, other=0.0)
    gain_imag = sign * tl.load(gains + 1, mask=known, other=0.0)
    product_real = real * gain_real - imag * gain_imag
    product_imag = real * gain_imag + imag * gain_real

    # Both matrices of the rows are symmetric, so that they are their own inverse's.
    cosine, sine = load_matrix(row_cos, TILE_H, TILE_H), load_matrix(row_sin, TILE_H, TILE_H)
    real = product(cosine, product_real) - product(sine, product_imag)
    imag = product(sine, product_real) + product(cosine, product_imag)
    y = product(real, load_matrix(inverse_cos, TILE_V, TILE_W))
    y += product(imag, load_matrix(inverse_sin, TILE_V, TILE_W))
    strides = (y_batch, y_channel, y_row, y_col)
    store_map(y_pointer, y, sample, channel, height, width, strides, TILE_H, TILE_W)


@triton.jit
def _gradient_kernel(  # type: ignore[no-untyped-def]
    x_pointer,
    grad_pointer,
    partial_pointer,
    row_cos,
    row_sin,
    col_cos,
    col_sin,
    counts,
    batch,
    channels,
    height,
    width,
    parts,
    x_batch,
    x_channel,
    x_row,
    x_col,
    grad_batch,
    grad_channel,
    grad_row,
    grad_col,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
    TILE_V: tl.constexpr,
):
    """Gradient of the filter of a channel, summed over every ``parts``-th sample."""
    program = tl.program_id(0)
    part, channel = program // channels, tl.cast(program % channels, tl.int64)
    x_strides = (x_batch, x_channel, x_row, x_col)
    grad_strides = (grad_batch, grad_channel, grad_row, grad_col)
    sum_real = tl.zeros((TILE_H, TILE_V), dtype=tl.float32)
    sum_imag = tl.zeros((TILE_H, TILE_V), dtype=tl.float32)
    for sample in range(part, batch, parts):
        image = tl.cast(sample, tl.int64)
        x = load_map(x_pointer, image, channel, height, width, x_strides, TILE_H, TILE_W)
        grad = load_map(grad_pointer, image, channel, height, width, grad_strides, TILE_H, TILE_W)
        x_real, x_imag = _transform(x, row_cos, row_sin, col_cos, col_sin, TILE_H, TILE_W, TILE_V)
        grad_real, grad_imag = _transform(
            grad, row_cos, row_sin, col_cos, col_sin, TILE_H, TILE_W, TILE_V
        )
        sum_real += x_real * grad_real + x_imag * grad_imag
        sum_imag += x_real * grad_imag - x_imag * grad_real

    half = width // 2 + 1
    rows, frequencies = tl.arange(0, TILE_H)[:, None], tl.arange(0, TILE_V)[None, :]
    known = (rows < height) & (frequencies < half)
    count = tl.load(counts + frequencies)
    start = partial_pointer + tl.cast(program, tl.int64) * (height * half * 2)
    places = start + (rows * half + frequencies) * 2
    tl.store(places, sum_real * count, mask=known)
    tl.store(places + 1, sum_imag * count, mask=known)
