"""Signals by which a cluster announces that it will stop a process.

This module imports nothing of torch, so that a tool can install the handlers first: a signal that
arrives during the seconds that the other imports take is then remembered and not deadly.
"""

import os
import signal
import threading
from types import FrameType

__all__ = ['REQUEUE', 'Preempted', 'listen', 'requested', 'serve', 'watch_launcher']

REQUEUE = 85
"""Exit status of a run that saved its state and wants to go on later (``RequeueExit`` of Slurm)."""

_SIGNALS = (signal.SIGUSR1, signal.SIGTERM)
_received: list[str] = []
_launcher: int | None = None


class Preempted(SystemExit):
    """A run was asked to stop; ends the process with the status :data:`REQUEUE`."""

    def __init__(self) -> None:
        super().__init__(REQUEUE)


def listen() -> None:
    """Remember SIGUSR1 and SIGTERM from now on, in place of ending at once."""

    def remember(number: int, frame: FrameType | None) -> None:
        _received.append(signal.Signals(number).name)

    for number in _SIGNALS:
        signal.signal(number, remember)


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


def watch_launcher() -> None:
    """Take the end of the process that started this one for a request to stop.

    A launcher that is killed cannot tell its processes, which would go on beside those that are
    started next.
    """
    global _launcher
    _launcher = os.getppid()


def requested() -> str | None:
    """What asked this process to stop: the first signal, or the end of its launcher; or None."""
    if _received:
        return _received[0]
    return 'end of the launcher' if _launcher not in (None, os.getppid()) else None
