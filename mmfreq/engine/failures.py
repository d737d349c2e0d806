"""Why a run ended, in the last line of its log."""

import re
import traceback
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.logging import MMLogger

from mmfreq.engine.nonfinite_hook import NonFiniteLossError
from mmfreq.utils.errors import CheckpointError, DataError

__all__ = ['cause_of', 'log_failure']

EXPLAINED = (CheckpointError, DataError, NonFiniteLossError, OSError)
"""Errors whose message says all; others are logged with their traceback."""

MARK = ' - error: '

_LOST = re.compile('connection (closed|reset)|broken pipe|gloo|nccl|peer', re.IGNORECASE)


def cause_of(error: BaseException) -> str:
    """One line that says what went wrong.

    Args:
        error (BaseException): The error that ended a run.

    Returns:
        str: The error's message. For one that comes from a worker of a data loader, whose message
        is a traceback, the last line of that.
    """
    name, message = type(error).__name__, str(error).strip()
    if 'in DataLoader worker process' in message:
        name, _, message = message.splitlines()[-1].partition(': ')
    if not isinstance(error, EXPLAINED):
        message = f'{name}: {message}'
    return ' '.join(message.split())


def log_failure(error: BaseException, log: Path) -> str:
    """Log why a run ended.

    Where several processes fail, one has the cause and the others lose the connection to it; its
    line stays the last one.

    Args:
        error (BaseException): The error that ended this process.
        log (Path): Log file of the run, which only the first process has open.

    Returns:
        str: The cause.
    """
    own = f'rank {get_rank()}: {cause_of(error)}' if get_rank() else cause_of(error)
    lost = isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None
    if lost:
        lines = log.read_text().splitlines()[-20:] if log.is_file() else []
        causes = [line.partition(MARK)[2] for line in lines if MARK in line]
        own = causes[-1] if causes else 'another process of the run ended'
        if causes and MARK in lines[-1]:
            return own
    logger = MMLogger.get_current_instance()
    if not (lost or isinstance(error, EXPLAINED)):
        logger.error(''.join(traceback.format_exception(error)))
    logger.error(f'error: {own}')
    if get_rank() and log.is_file():
        with log.open('a') as file:
            file.write(f'ERROR{MARK}{own}\n')
    return own
