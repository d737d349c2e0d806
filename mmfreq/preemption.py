"""Signals by which a cluster announces that it will stop a process.

This module imports nothing of torch, so that a tool can install the handlers first: a signal that
arrives during the seconds that the other imports take is then remembered and not deadly.
"""

import os
import signal
from types import FrameType

__all__ = ['REQUEUE', 'Preempted', 'listen', 'requested']

REQUEUE = 85
"""Exit status of a run that saved its state and wants to go on later (``RequeueExit`` of Slurm)."""

_SIGNALS = (signal.SIGUSR1, signal.SIGTERM)
_received: list[str] = []


class Preempted(SystemExit):
    """A run was asked to stop; ends the process with the status :data:`REQUEUE`."""

    def __init__(self) -> None:
        super().__init__(REQUEUE)


def listen() -> None:
    """Remember SIGUSR1 and SIGTERM from now on, in place of ending at once.

    Processes forked later, such as the workers of a data loader, ignore both: Slurm signals every
    process of a job step, and the training process still needs its workers until it stops.
    """
    process = os.getpid()

    def remember(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            _received.append(signal.Signals(number).name)

    for number in _SIGNALS:
        signal.signal(number, remember)


def requested() -> str | None:
    """Name of the first signal that this process received, or None."""
    return _received[0] if _received else None
