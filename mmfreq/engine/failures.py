"""Why a run ended, in the last line of its log."""

import re
import traceback
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.logging import MMLogger

from mmfreq.engine.config_errors import explain
from mmfreq.engine.nonfinite_hook import NonFiniteLossError
from mmfreq.utils.errors import CheckpointError, ConfigError, DataError

__all__ = ['cause_of', 'log_failure']

EXPLAINED = (CheckpointError, ConfigError, DataError, NonFiniteLossError, OSError)
"""Errors whose message says all; others are logged with their traceback."""

MARK = ' - error: '

FIXES = {
    'Expected more than 1 value per channel when training': (
        'a batch norm behind a pooling to one pixel has one value per channel in a batch of one '
        'image: set train_dataloader.batch_size to 2 or more, with train_dataloader.drop_last=True '
        'if the last batch is smaller, or a norm_cfg of that head without batch statistics, such '
        "as dict(type='GN', num_groups=32)"
    ),
    r'Target \d+ is out of bounds': (
        'a label is beyond num_classes of a head: put mmfreq.CheckSegMap behind LoadAnnotations to '
        'see in which file'
    ),
}
"""Errors of torch, by a pattern of their text, with what a user can do."""

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
    for pattern, fix in FIXES.items():
        if re.search(pattern, message):
            message = f'{message}; {fix}'
    return ' '.join(message.split())


def log_failure(error: BaseException, log: Path, cfg: Config | None = None) -> str:
    """Log why a run ended.

    Where several processes fail, one has the cause and the others lose the connection to it; its
    line stays the last one.

    Args:
        error (BaseException): The error that ended this process.
        log (Path): Log file of the run, which only the first process has open.
        cfg (Config, optional): Config of the run. An error of building a part of it is logged with
            the part's key and without a traceback.

    Returns:
        str: The cause.
    """
    said = isinstance(error, EXPLAINED) or any(re.search(p, str(error)) for p in FIXES)
    key = None if said else explain(error, cfg)
    own = key or cause_of(error)
    own = f'rank {get_rank()}: {own}' if get_rank() else own
    lost = isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None
    if lost:
        lines = log.read_text().splitlines()[-20:] if log.is_file() else []
        causes = [line.partition(MARK)[2] for line in lines if MARK in line]
        own = causes[-1] if causes else 'another process of the run ended'
        if causes and MARK in lines[-1]:
            return own
    logger = MMLogger.get_current_instance()
    if not (lost or said or key):
        logger.error(''.join(traceback.format_exception(error)))
    logger.error(f'error: {own}')
    if get_rank() and log.is_file():
        with log.open('a') as file:
            file.write(f'ERROR{MARK}{own}\n')
    return own
