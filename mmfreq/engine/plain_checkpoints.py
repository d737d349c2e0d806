"""Checkpoints of nothing but tensors and plain data, which ``weights_only=True`` reads."""

from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch import Tensor

from mmfreq.utils.errors import CheckpointError

__all__ = ['PlainCheckpointHook', 'make_plain', 'restore_logs']

HISTORY = ('values', 'counts', 'max_length')  # of a log buffer


class PlainCheckpointHook(Hook):
    """Writes the log buffers of a checkpoint as tensors, and makes buffers of them again.

    MMEngine stores objects of its own, for which other loaders have to unpickle whatever a file
    holds.
    """

    priority = 'LOWEST'  # behind all that add to a checkpoint

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make a checkpoint plain.

        Args:
            runner (Runner): Runner of the run.
            checkpoint (dict): Content of a checkpoint, changed in place.
        """
        make_plain(checkpoint)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Undo it for a run that goes on.

        Args:
            runner (Runner): Runner of the run.
            checkpoint (dict): Content of a checkpoint, changed in place.
        """
        restore_logs(checkpoint)


def make_plain(checkpoint: dict) -> None:
    """Turn log buffers and numpy values of a checkpoint into tensors and plain data.

    Args:
        checkpoint (dict): Content of a checkpoint, changed in place.
    """
    for key, value in checkpoint.items():
        if key != 'state_dict':
            checkpoint[key] = _plain(value)


def restore_logs(checkpoint: dict) -> None:
    """Make log buffers of what :func:`make_plain` has made of them.

    Args:
        checkpoint (dict): Content of a checkpoint, changed in place; others are left as they are.
    """
    hub = checkpoint.get('message_hub')
    scalars = hub.get('log_scalars') if isinstance(hub, dict) else None
    if not isinstance(scalars, dict):
        return
    for name, value in scalars.items():
        if isinstance(value, dict) and set(value) == set(HISTORY):
            try:
                values, counts = (value[part].cpu().numpy() for part in HISTORY[:2])
                scalars[name] = HistoryBuffer(values, counts, int(value['max_length']))
            except (AttributeError, TypeError, ValueError, AssertionError) as error:
                raise CheckpointError(f'the checkpoint has a damaged log of {name!r}') from error


def _plain(value: Any) -> Any:
    if isinstance(value, HistoryBuffer):
        histories = (torch.as_tensor(np.asarray(part)) for part in value.data)
        return dict(zip(HISTORY, (*histories, value.max_length), strict=True))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return torch.from_numpy(value.copy())
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value
