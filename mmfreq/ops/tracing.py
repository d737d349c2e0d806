"""What a call becomes part of, and where its messages go."""

import logging
import sys

import torch

__all__ = ['is_traced', 'log']


def is_traced() -> bool:
    """Whether the call becomes part of a graph, compiled, exported or traced."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def log(message: str, level: int = logging.DEBUG) -> None:
    """Log a message as MMEngine does where it runs, and with Python's logger elsewhere."""
    if 'mmengine' in sys.modules:
        from mmengine.logging import print_log

        print_log(message, logger='current', level=level)
    else:
        logging.getLogger('mmfreq').log(level, message)
