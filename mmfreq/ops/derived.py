"""Tensors that are computed from a parameter once and used in many forward passes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ['derived', 'forget']

MAX_VALUES = 4  # of a source: a detector meets a new size with nearly every image


def derived(
    sources: Tensor | Sequence[Tensor], key: Hashable, make: Callable[..., Tensor]
) -> Tensor:
    """What ``make`` returns for tensors, computed once for their values.

    Tensors are compared by value with copies of them. Version counters would be cheaper, but they
    do not see a write through ``.data``, which is how MMEngine's EMAHook swaps weights in and out.

    Args:
        sources (Tensor | Sequence[Tensor]): For example a parameter. Kept alive by its owner only;
            of several, the first one belongs to what is made alone.
        key (Hashable): What is made of it; the last few are kept.
        make (Callable): Called with the detached sources.

    Returns:
        Tensor: The result, without gradient. It is shared and must not be written to.
    """
    sources = (sources,) if isinstance(sources, Tensor) else tuple(sources)
    entry = _entries.get(sources[0])
    if entry is None or not all(map(_same_bits, entry[0], sources)):
        entry = (tuple(source.detach().clone() for source in sources), OrderedDict())
        _entries[sources[0]] = entry
    values = entry[1]
    if key not in values:
        values[key] = make(*(source.detach() for source in sources))
        if len(values) > MAX_VALUES:
            values.popitem(last=False)
    values.move_to_end(key)
    return values[key]


def forget(source: Tensor) -> None:
    """Free what was made of a tensor, and of others together with it."""
    _entries.pop(source, None)


_entries: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def _same_bits(a: Tensor, b: Tensor) -> bool:
    if a.dtype != b.dtype or a.device != b.device or a.shape != b.shape:
        return False
    if a.dtype == torch.float32 and a.is_contiguous() and b.is_contiguous() and a.shape[-1] == 2:
        a, b = a.view(torch.int64), b.detach().view(torch.int64)  # in half the time
    return torch.equal(a, b)
