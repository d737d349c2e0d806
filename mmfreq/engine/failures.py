"""Why a run ended, in the last line of its log."""

import re
import traceback
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.logging import MMLogger

from mmfreq.engine.nonfinite_hook import NonFiniteLossError
from mmfreq.utils.checkpoint import CheckpointError

__all__ = ['cause_of', 'log_failure']

EXPLAINED = (CheckpointError, NonFiniteLossError, OSError)
"""Errors whose message says all; others are logged with their traceback."""

_LOST = re.compile('connection (closed|reset)|broken pipe|gloo|nccl|peer', re.IGNORECASE)


def cause_of(error: BaseException) -> str:
    """One line that says what went wrong.

    Args:
        error (BaseException): The error that ended a run.

    Returns:
        str: The error's message. For one that comes from a worker of a data loader, whose message
        is a traceback, the last line of that.
    """
    message = str(error).strip()
    if 'in DataLoader worker process' in message:
        message = message.splitlines()[-1]
    elif not isinstance(error, EXPLAINED):
        message = f'{type(error).__name__}: {message}'
    return ' '.join(message.split())


def log_failure(error: BaseException, log: Path) -> None:
    """Log why a run ended.

    Where several processes fail, one has the cause and the others lose the connection to it; its
    line stays the last one.

    Args:
        error (BaseException): The error that ended this process.
        log (Path): Log file of the run, which only the first process has open.
    """
    lines = log.read_text().splitlines() if log.is_file() else []
    lost = isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None
    if lost and lines and ' error: ' in lines[-1]:
        return
    logger = MMLogger.get_current_instance()
    known = isinstance(error, EXPLAINED) or 'could not be prepared' in str(error)
    if not (known or lost):
        logger.error(''.join(traceback.format_exception(error)))
    cause = 'another process of the run ended' if lost else cause_of(error)
    message = f'rank {get_rank()}: {cause}' if get_rank() else cause
    logger.error(f'error: {message}')
    if get_rank() and log.is_file():
        with log.open('a') as file:
            file.write(f'ERROR - error: {message}\n')
