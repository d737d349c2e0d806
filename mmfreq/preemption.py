"""Signals by which a cluster announces that it will stop a process.

This module imports nothing of torch, so that a tool can install the handlers first: a signal that
arrives during the seconds that the other imports take then puts the run back into the queue, where
it would have failed.
"""

import ctypes
import os
import signal
import sys
import threading
from types import FrameType

__all__ = ['REQUEUE', 'Preempted', 'begin', 'listen', 'requested', 'serve']

REQUEUE = 85
"""Exit status of a run that saved its state and wants to go on later (``RequeueExit`` of Slurm)."""

_SIGNALS = (signal.SIGUSR1, signal.SIGTERM)
_received: list[str] = []
_began = False
_PR_SET_PDEATHSIG = 1  # of Linux's prctl: a signal for the end of the parent


class Preempted(SystemExit):
    """A run was asked to stop; ends the process with the status :data:`REQUEUE`."""

    def __init__(self) -> None:
        super().__init__(REQUEUE)


def listen() -> None:
    """Take SIGUSR1 and SIGTERM as requests to stop from now on.

    Until :func:`begin` there is nothing to save, and they end the process at once with the status
    :data:`REQUEUE`; afterwards they are remembered. Under torchrun the end of the launcher counts
    as SIGTERM: one that is killed cannot tell its processes, which would go on beside the next.
    """

    def remember(number: int, frame: FrameType | None) -> None:
        if not _began:
            os._exit(REQUEUE)
        _received.append(signal.Signals(number).name)

    for number in _SIGNALS:
        signal.signal(number, remember)
    if 'TORCHELASTIC_RUN_ID' in os.environ and sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def begin() -> None:
    """From now on there is something to save: remember requests in place of ending at once."""
    global _began
    _began = True


def serve() -> None:
    """In a worker of this process, take both signals from the process itself only.

    Slurm signals every process of a job step, also the workers of data loaders, which the training
    needs until it stops. SIGTERM from the parent ends the worker, as everywhere.
    """
    parent = os.getppid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def watch() -> None:
        while signal.sigwaitinfo(_SIGNALS).si_pid != parent:
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def requested() -> str | None:
    """Name of the first signal that this process received, or None."""
    return _received[0] if _received else None
