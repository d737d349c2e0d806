"""Matrices of transforms: computed once for a size, constants of every graph that uses them."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = ['constant', 'cosines', 'shares', 'waves']

MAX_CACHED = 128

Size = TypeVar('Size', bound=Hashable)


def constant(
    make: Callable[[Size], np.ndarray], is_complex: bool = False
) -> Callable[[torch.dtype, torch.device, Size], Tensor]:
    """Let a function of a size return a cached tensor in place of an array.

    Arrays are made by NumPy, in double precision, so that the result does not depend on what
    PyTorch is doing at the time: inference mode, a default dtype, exporting with fake tensors. In a
    compiled graph they are computed, because a graph has no place for a cache.

    Args:
        make (Callable): Returns an array for a size, or what else it depends on.
        is_complex (bool): Whether the array is complex. Defaults to False.

    Returns:
        Callable: Takes a dtype, float32 or float64, and a device in front of the size.
    """
    known: OrderedDict[tuple[torch.dtype, torch.device, Size], Tensor] = OrderedDict()

    def tensor(dtype: torch.dtype, device: torch.device, size: Size) -> Tensor:
        if is_complex:
            dtype = torch.complex128 if dtype == torch.float64 else torch.complex64
        return torch.from_numpy(make(size)).to(device, dtype).contiguous()

    @wraps(make)
    def cached(dtype: torch.dtype, device: torch.device, size: Size) -> Tensor:
        if torch.compiler.is_dynamo_compiling():
            return tensor(dtype, device, size)
        key = (dtype, device, size)
        if key in known:
            known.move_to_end(key)
            return known[key]
        with torch.inference_mode(False), torch.no_grad():  # autograd may need a cached tensor
            made = tensor(dtype, device, size)
        if type(made) is Tensor:  # a fake one belongs to the graph that is being exported
            known[key] = made
            if len(known) > MAX_CACHED:
                known.popitem(last=False)
        return made

    return cached


def waves(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of the first frequencies; angles are reduced as integers first.

    Args:
        size (int): Number of positions.
        count (int): Number of frequencies.

    Returns:
        tuple[np.ndarray, np.ndarray]: Each of shape ``(count, size)``, divided by ``sqrt(size)``.
    """
    steps = np.outer(np.arange(count), np.arange(size)) % size
    angles = 2 * np.pi * steps / size
    return np.cos(angles) / np.sqrt(size), np.sin(angles) / np.sqrt(size)


def shares(width: int) -> np.ndarray:
    """How often each column of a half spectrum occurs in the whole one.

    Args:
        width (int): Width ``W`` of the images.

    Returns:
        np.ndarray: 1 for the DC column, and for the Nyquist column of an even width, 2 for the
        others, shape ``(W // 2 + 1,)``.
    """
    weights = np.full(width // 2 + 1, 2.0)
    weights[0] = 1
    if width % 2 == 0:
        weights[-1] = 1
    return weights


def cosines(size: int) -> np.ndarray:
    """Matrix ``D_N`` of :func:`mmfreq.ops.dct2`.

    Args:
        size (int): Number of positions ``N``.

    Returns:
        np.ndarray: One cosine per row, shape ``(N, N)``, orthogonal.
    """
    angles = np.outer(np.arange(size), np.arange(size) + 0.5) * (np.pi / size)
    matrix = np.cos(angles) * np.sqrt(2 / size)
    matrix[0] /= np.sqrt(2)
    return matrix
