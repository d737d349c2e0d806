"""Matrices of transforms: computed once for a size, constants of every graph that uses them."""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps

import numpy as np
import torch
from torch import Tensor

__all__ = ['constant']

MAX_CACHED = 128


def constant(
    make: Callable[[int], np.ndarray], is_complex: bool = False
) -> Callable[[torch.dtype, torch.device, int], Tensor]:
    """Let a function of a size return a cached tensor in place of an array.

    Arrays are made by NumPy, in double precision, so that the result does not depend on what
    PyTorch is doing at the time: inference mode, a default dtype, exporting with fake tensors. In a
    compiled graph they are computed, because a graph has no place for a cache.

    Args:
        make (Callable): Returns an array for a size.
        is_complex (bool): Whether the array is complex. Defaults to False.

    Returns:
        Callable: Takes a dtype, float32 or float64, and a device in front of the size.
    """
    known: OrderedDict[tuple[torch.dtype, torch.device, int], Tensor] = OrderedDict()

    def tensor(dtype: torch.dtype, device: torch.device, size: int) -> Tensor:
        if is_complex:
            dtype = torch.complex128 if dtype == torch.float64 else torch.complex64
        return torch.from_numpy(make(size)).to(device, dtype).contiguous()

    @wraps(make)
    def cached(dtype: torch.dtype, device: torch.device, size: int) -> Tensor:
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
