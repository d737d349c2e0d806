"""Commands of mmfreq as processes, one at a time for each folder."""

import fcntl
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import IO

import torch

from mmfreq.analysis.speed.results import describe_machine
from mmfreq.preemption import REQUEUE

__all__ = ['alone', 'circumstances', 'commit', 'run_mmfreq']


def run_mmfreq(arguments: Sequence[str], folder: Path, lock: IO[str]) -> int:
    """Run a sub-command, its output in a log; requests to stop are handed on to it.

    It holds the lock, too, should this process be killed.

    Args:
        arguments (Sequence[str]): Command and arguments of ``mmfreq``.
        folder (Path): Where ``output.log`` is continued.
        lock (IO[str]): From :func:`alone`.

    Returns:
        int: Its exit status, :data:`mmfreq.preemption.REQUEUE` if it was asked to stop.
    """
    asked = []
    with (folder / 'output.log').open('ab') as log:
        process = subprocess.Popen(
            [sys.executable, '-m', 'mmfreq', *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
        )

        def hand_on(number: int, _: FrameType | None) -> None:
            asked.append(number)
            process.send_signal(number)

        before = {
            number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGUSR1)
        }
        try:
            status = process.wait()
        except KeyboardInterrupt:  # which the terminal has sent to it, too
            process.wait()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return REQUEUE if status and asked else status


@contextmanager
def alone(path: Path, wanted: bool) -> Iterator[IO[str] | None]:
    """Hold a file's lock, if it is wanted, or give None where another process holds it.

    Args:
        path (Path): The file, which is made.
        wanted (bool): False to hold nothing.

    Yields:
        IO[str] | None: The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a') as file:
        try:
            if wanted:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file


def commit() -> str:
    """State of the repository that this package is in, ``''`` where it is installed."""
    folder = Path(__file__).parents[2]
    if not (folder / '.git').exists():
        return ''
    command = ['git', 'describe', '--always', '--dirty', '--abbrev=10']
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError:  # there is no git
        return ''
    return done.stdout.strip()


def circumstances() -> dict[str, str]:
    """Date and machine of a result."""
    return dict(
        date=datetime.now().date().isoformat(),
        machine=describe_machine('cuda' if torch.cuda.is_available() else 'cpu'),
    )
