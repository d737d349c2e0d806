"""What a call becomes part of, and where its messages go."""

import logging
import operator
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

__all__ = [
    'as_int',
    'is_compiled',
    'is_compiled_for_cpu',
    'is_exported',
    'is_traced',
    'log',
    'without_autocast',
]


def is_traced() -> bool:
    """Whether the call becomes part of a graph, compiled, exported or traced."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def is_compiled() -> bool:
    """Whether the call becomes part of a graph of ``torch.compile``, which only PyTorch runs."""
    return torch.compiler.is_dynamo_compiling() and not _is_exporting()


def is_exported() -> bool:
    """Whether the call becomes part of a graph that something else may run."""
    return is_traced() and not is_compiled()


def is_compiled_for_cpu(x: Tensor) -> bool:
    """Whether the call on a tensor becomes part of a graph that is compiled for a CPU."""
    return x.device.type == 'cpu' and is_compiled()


@torch.compiler.assume_constant_result
def _is_exporting() -> bool:
    # Always true where ``torch.compile`` looks into it; PyTorch 2.6 does not have it.
    return bool(getattr(torch.compiler, 'is_exporting', bool)())


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Turn autocast off, or do nothing where it is: exported graphs keep what is not needed."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def as_int(size: int) -> int:
    """A side of maps as a number also where a graph is made, which is then for this size only."""
    return operator.index(size)


def log(message: str, level: int = logging.DEBUG) -> None:
    """Log a message as MMEngine does where it runs, and with Python's logger elsewhere."""
    if 'mmengine' in sys.modules:
        from mmengine.logging import print_log

        print_log(message, logger='current', level=level)
    else:
        logging.getLogger('mmfreq').log(level, message)
