"""Matrices of transforms: computed once for a size, constants of every graph that uses them."""

import sys
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps

import numpy as np
import torch
from torch import Tensor

__all__ = ['constant']

MAX_CACHED = 128


def constant(
    make: Callable[[int], np.ndarray],
) -> Callable[[torch.dtype, torch.device, int], Tensor]:
    """Let a function of a size return a cached tensor in place of an array.

    Arrays are made by NumPy, in double precision, so that the result does not depend on what
    PyTorch is doing at the time: inference mode, a default dtype, tracing with fake tensors.

    Args:
        make (Callable): Returns a real or complex array for a size.

    Returns:
        Callable: Takes a dtype, float32 or float64, and a device in front of the size.
    """
    known: OrderedDict[tuple[torch.dtype, torch.device, int], Tensor] = OrderedDict()

    @torch.compiler.assume_constant_result
    @wraps(make)
    def tensor_for(dtype: torch.dtype, device: torch.device, size: int) -> Tensor:
        key = (dtype, device, size)
        if key in known:
            known.move_to_end(key)
            return known[key]
        with torch.inference_mode(False), torch.no_grad():  # autograd may need a cached tensor
            array = make(size)
            kind = 'c' if np.iscomplexobj(array) else 'f'
            width = dtype.itemsize * (2 if kind == 'c' else 1)
            tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=f'{kind}{width}'))
            tensor = tensor if device.type == 'cpu' else tensor.to(device)
        if type(tensor) is Tensor:  # a fake one belongs to the graph that is being exported
            known[key] = tensor
            if len(known) > MAX_CACHED:
                known.popitem(last=False)
        if 'torch._dynamo' in sys.modules:  # a constant of another size is not a dynamic shape
            torch._dynamo.mark_static(tensor)
        return tensor

    return tensor_for
