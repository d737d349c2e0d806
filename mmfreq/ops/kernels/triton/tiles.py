"""What the CUDA kernels share: which maps they take, matrices padded to tiles, products.

Needs the extra ``triton``. Without a GPU the kernels run in Triton's interpreter
(``TRITON_INTERPRET=1``), which is how they are tested; they were never timed.
"""

import logging
import os
from functools import lru_cache

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from mmfreq.ops.tracing import log

__all__ = [
    'LARGEST_SIDE',
    'covers',
    'launch_options',
    'load_map',
    'load_matrix',
    'padded',
    'product',
    'store_map',
    'tile',
]

LARGEST_SIDE = 64
SMALLEST_TILE = 16  # of a product on tensor cores


def covers(x: Tensor, dtype: torch.dtype, instead: str) -> bool:
    """Whether there is a kernel for feature maps; if not, one line in the log says why.

    Args:
        x (Tensor): Feature maps of shape ``(B, C, H, W)``.
        dtype (torch.dtype): In which they are to be transformed.
        instead (str): Backend that is used if there is none.

    Returns:
        bool: Whether the kernels take them.
    """
    height, width = x.shape[-2:]
    if max(height, width) > LARGEST_SIDE:
        reason = f'maps of {height}x{width} are larger than {LARGEST_SIDE} pixels a side'
    elif dtype != torch.float32:
        reason = f'{dtype} is not float32'
    elif x.device.type != 'cuda' and os.environ.get('TRITON_INTERPRET') != '1':
        reason = f'features are on {x.device.type}, not on a GPU'
    else:
        return True
    _log_once(f"backend 'triton' does not cover this, {instead!r} is used: {reason}")
    return False


@lru_cache(maxsize=256)
def _log_once(message: str) -> None:
    log(message, logging.WARNING)


def tile(size: int) -> int:
    """Side of the tile that ``size`` rows or columns lie in."""
    return max(triton.next_power_of_2(size), SMALLEST_TILE)


def padded(array: np.ndarray, shape: tuple[int, int], device: torch.device) -> Tensor:
    """A matrix on a device in float32, filled up with zeros."""
    zeros = np.zeros(shape, dtype=np.float32)
    zeros[: array.shape[0], : array.shape[1]] = array
    return torch.from_numpy(zeros).to(device)


def launch_options(tile_height: int, tile_width: int) -> dict[str, int]:
    """Options of a launch for tiles of a size."""
    # More stages would hold several copies of the matrices, beyond the shared memory of a chip.
    return dict(num_stages=1, num_warps=8 if max(tile_height, tile_width) > 32 else 4)


@triton.jit
def load_matrix(pointer, ROWS: tl.constexpr, COLS: tl.constexpr):  # type: ignore[no-untyped-def]
    """A padded matrix."""
    rows = tl.arange(0, ROWS)[:, None]
    return tl.load(pointer + rows * COLS + tl.arange(0, COLS)[None, :])


@triton.jit
def product(a, b):  # type: ignore[no-untyped-def]
    """Product of matrices: three on tensor cores keep float32's precision."""
    return tl.dot(a, b, input_precision='tf32x3')


@triton.jit
def _places(  # type: ignore[no-untyped-def]
    start, sample, channel, height, width, strides, TILE_H: tl.constexpr, TILE_W: tl.constexpr
):
    """Pointers to the pixels of a map, and which of the tile belong to it."""
    rows, cols = tl.arange(0, TILE_H)[:, None], tl.arange(0, TILE_W)[None, :]
    pixels = start + sample * strides[0] + channel * strides[1]
    return pixels + rows * strides[2] + cols * strides[3], (rows < height) & (cols < width)


@triton.jit
def load_map(  # type: ignore[no-untyped-def]
    start, sample, channel, height, width, strides, TILE_H: tl.constexpr, TILE_W: tl.constexpr
):
    """A map in float32, filled up with zeros; ``strides`` along B, C, H, W."""
    places, inside = _places(start, sample, channel, height, width, strides, TILE_H, TILE_W)
    return tl.load(places, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def store_map(  # type: ignore[no-untyped-def]
    start, y, sample, channel, height, width, strides, TILE_H: tl.constexpr, TILE_W: tl.constexpr
):
    """Write a map in the dtype of its place."""
    places, inside = _places(start, sample, channel, height, width, strides, TILE_H, TILE_W)
    tl.store(places, y.to(start.dtype.element_ty), mask=inside)
