"""Matrices of transforms: computed once for a size, constants of every graph that uses them."""

import ast
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from mmfreq.ops.tracing import is_compiled

__all__ = ['constant', 'cosines', 'shares', 'waves']

MAX_CACHED = 128

Size = TypeVar('Size', bound=Hashable)


def constant(
    make: Callable[[Size], np.ndarray], is_complex: bool = False
) -> Callable[[torch.dtype, torch.device, Size], Tensor]:
    """Let a function of a size return a cached tensor in place of an array.

    Arrays are made by NumPy, in double precision, so that the result does not depend on what
    PyTorch is doing at the time: inference mode, a default dtype, exporting with fake tensors.
    Exported graphs hold them as constants, compiled ones fetch them by an operator: compilers would
    compute them in each pass.

    Args:
        make (Callable): Returns an array for a size, or what else it depends on.
        is_complex (bool): Whether the array is complex. Defaults to False.

    Returns:
        Callable: Takes a dtype, float32 or float64, and a device in front of the size.
    """
    name = f'{make.__module__}.{make.__qualname__}'
    known: OrderedDict[tuple[torch.dtype, torch.device, Size], Tensor] = OrderedDict()

    def tensor(dtype: torch.dtype, device: torch.device, size: Size) -> Tensor:
        return torch.from_numpy(make(size)).to(device, dtype).contiguous()

    @torch.compiler.assume_constant_result
    def shape_of(size: Size) -> tuple[int, ...]:
        return make(size).shape

    @wraps(make)
    def cached(dtype: torch.dtype, device: torch.device, size: Size) -> Tensor:
        if is_complex:
            is_double = dtype in (torch.float64, torch.complex128)
            dtype = torch.complex128 if is_double else torch.complex64
        if is_compiled():
            return _operator(name, repr(size), shape_of(size), dtype, device)
        if torch.compiler.is_dynamo_compiling():
            return tensor(dtype, device, size)
        key = (dtype, device, size)
        if key in known:
            known.move_to_end(key)
            return known[key]
        # Autograd may need a cached tensor. Another change of the mode, no_grad, would become a
        # part of an exported graph, which is made of all parts in a time that grows as its square.
        with torch.inference_mode(False):
            made = tensor(dtype, device, size)
        if type(made) is Tensor:  # a fake one belongs to the graph that is being exported
            known[key] = made
            if len(known) > MAX_CACHED:
                known.popitem(last=False)
        return made

    _FUNCTIONS[name] = cached
    return cached


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {}


# Operators with lists state their schema: torch 2.6 cannot read ``list[int]``.
@torch.library.custom_op(
    'mmfreq::constant',
    mutates_args=(),
    schema='(str name, str size, SymInt[] shape, ScalarType dtype, Device device) -> Tensor',
)
def _operator(
    name: str, size: str, shape: list[int], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """A copy of what a function of a size returns: compiled graphs write into what they are given.

    Function and size are texts, because compiled code outlives a process.
    """
    return _FUNCTIONS[name](dtype, device, ast.literal_eval(size)).clone()


@_operator.register_fake
def _(name: str, size: str, shape: list[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=device)


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
