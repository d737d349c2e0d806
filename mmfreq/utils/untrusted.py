"""What keeps a file from strangers from running code, filling the memory or never ending."""

import argparse
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ['allowed_types', 'check_archive', 'check_tensors', 'offending_names']

MOST_SHARED = 10
"""How many times the size of the file its tensors may have together, where they share memory."""


def check_archive(path: Path) -> None:
    """Check a zip file, as ``torch.save`` writes it, before anything in it is used.

    ``torch.load`` compares no checksums, and unpacks compressed entries of any size.

    Args:
        path (Path): Path of the file; files of other kinds pass.

    Raises:
        ValueError: If an entry is compressed, overlaps others or does not fit its checksum.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError('it has compressed entries, which torch.save never writes')
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise ValueError('its entries claim to be larger than the file')
            broken = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise ValueError(f'it is truncated or damaged: {error}') from error
    if broken is not None:
        raise ValueError(f'it is damaged: {broken} does not fit its checksum')


def allowed_types() -> list[Any]:
    """Types beside tensors and plain containers that a checkpoint may hold.

    ``argparse.Namespace`` (released checkpoints hold their training arguments) and the log buffers
    and numpy values that MMEngine stores beside the weights.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer

    def history_method(owner: object, name: str) -> Any:
        # Stands in for getattr, by which a pickled log buffer names its own methods.
        if owner is not HistoryBuffer or name.startswith('_'):
            raise pickle.UnpicklingError(f'attribute {name} of {owner} is not allowed')
        return getattr(HistoryBuffer, name)

    plain = ['f4', 'f8', 'i4', 'i8', 'u4']

    def plain_dtype(name: str, *_: bool) -> Any:
        # Stands in for numpy.dtype, whose copies take flags from the file that make numpy treat
        # numbers as pointers. The ones returned here are constants.
        if name not in plain:
            raise pickle.UnpicklingError(f'arrays of type {name} are not allowed')
        return np.dtype(name)

    dtypes = [type(np.dtype(name)) for name in plain]
    rebuilders: list[Any] = [np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    renamed = [(f, f'numpy.core.multiarray.{f.__name__}') for f in rebuilders]  # of numpy 1
    stand_ins = [(history_method, 'builtins.getattr'), (plain_dtype, 'numpy.dtype'), *renamed]
    return [argparse.Namespace, HistoryBuffer, np.ndarray, *rebuilders, *dtypes, *stand_ins]


def check_tensors(content: Any, path: Path) -> None:
    """Check that the tensors of a file are no larger than it.

    A tensor of any shape can stand on a few bytes that all its elements share, and would fill the
    memory as soon as something is computed from it.

    Args:
        content (Any): What was read.
        path (Path): Where from.

    Raises:
        ValueError: If the tensors are larger than they can be, or of a sparse kind.
    """
    total, seen, waiting = 0, set(), [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            if value.layout != torch.strided:
                raise ValueError(f'it holds a tensor of the layout {value.layout}')
            total += value.numel() * value.element_size()
        elif id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, Mapping):
                waiting += value.values()
            elif isinstance(value, (list, tuple, set)):
                waiting += value
    if total > MOST_SHARED * path.stat().st_size:
        raise ValueError('its tensors share memory so that they claim to be larger than the file')


def offending_names(path: Path) -> list[str]:
    """Names of the objects in a refused file, as far as they can be told without loading it."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except (RuntimeError, ValueError, pickle.UnpicklingError):  # not a zip file, or a broken one
        return []
