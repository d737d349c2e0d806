"""What command lines share: parsers, and errors that end in one message."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmfreq.engine.config_errors import explain
from mmfreq.engine.failures import log_failure
from mmfreq.engine.launch import LAUNCHERS, finish_distributed
from mmfreq.engine.pretrained import read_only_safe_checkpoints
from mmfreq.engine.run_configs import allow_mismatch, read_config
from mmfreq.preemption import Preempted
from mmfreq.utils.checkpoint import trust_checkpoints

__all__ = [
    'add_config_options',
    'add_data_root',
    'add_trust_option',
    'errors_as_messages',
    'make_parser',
    'make_run_parser',
    'read_config_of',
    'run_or_exit',
    'this_command',
]


def make_parser(description: str | None, examples: str) -> argparse.ArgumentParser:
    """Parser that shows the text of a tool and examples as they are written.

    Args:
        description (str, optional): What the tool does, usually its docstring.
        examples (str): Example calls, one or more lines.

    Returns:
        argparse.ArgumentParser: Parser to which a tool adds its options.
    """
    return argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'examples:\n{examples}',
    )


def this_command() -> str:
    """The command line of this process, as it can be given again."""
    program, *arguments = sys.argv
    if not program.startswith('mmfreq '):  # else it is a sub-command already
        program = f'python {program}'
    return f'{program} {shlex.join(arguments)}'


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``.

    Args:
        parser (argparse.ArgumentParser): Changed in place.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        default={},
        metavar='KEY=VALUE',
        help='values in place of those of the config, by dotted key',
    )


class _Options(DictAction):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        for value in values:
            if '=' not in value:
                parser.error(f'{option} takes KEY=VALUE, got {value!r}')
        super().__call__(parser, namespace, values, option)


class _Trust(argparse.Action):
    def __call__(self, parser: object, namespace: argparse.Namespace, *_: object) -> None:
        trust_checkpoints()


def add_trust_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust-checkpoint``, for tools that read checkpoints.

    Args:
        parser (argparse.ArgumentParser): Changed in place.
    """
    parser.add_argument(
        '--trust-checkpoint',
        action=_Trust,
        nargs=0,
        help='load checkpoints that hold more than weights and plain data; such a file can run any '
        'code, so only for files of people you trust',
    )


def add_data_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--data-root``.

    Args:
        parser (argparse.ArgumentParser): Changed in place.
    """
    parser.add_argument(
        '--data-root',
        action='append',
        metavar='PATH|OLD=NEW',
        help="folder of the data set in place of the config's; OLD=NEW, once for each, in a config "
        'with several',
    )


def make_run_parser(description: str | None, examples: str) -> argparse.ArgumentParser:
    """Parser with the options that every run has.

    Args:
        description (str, optional): What the tool does.
        examples (str): Example calls, one or more lines.

    Returns:
        argparse.ArgumentParser: Parser to which a tool adds its own options.
    """
    parser = make_parser(description, examples)
    parser.add_argument(
        'config', help='config file, also of a library: mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug.py'
    )
    parser.add_argument('--work-dir', help='folder of the run; default work_dirs/<config>')
    add_data_root(parser)
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='default: none')
    parser.add_argument(
        '--allow-mismatch',
        nargs='+',
        default=[],
        metavar='HEAD',
        help='heads that may have another number of classes than the data set, e.g. decode_head',
    )
    add_config_options(parser)
    add_trust_option(parser)
    return parser


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """End the process with one message where the user's input is wrong."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:  # OSError: files and connections
        sys.exit(f'error: {explain(error) or error}')
    except Exception as error:
        message = explain(error)
        if message is None:
            raise  # a fault of the program shows its trace
        sys.exit(f'error: {message}')


def read_config_of(
    args: argparse.Namespace, splits: Sequence[str] = ('train', 'val', 'test')
) -> Config:
    """Read the config that a command line names, with the options of :func:`make_run_parser`.

    Args:
        args (argparse.Namespace): Parsed command line.
        splits (Sequence[str]): Data that have to be there. Defaults to all.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If the config or a part of its data set is missing.
        ValueError: If the config cannot be read, or has keys that nothing reads.
    """
    read_only_safe_checkpoints()
    cfg = read_config(args.config, args.cfg_options, args.work_dir, args.data_root, splits)
    allow_mismatch(cfg, args.allow_mismatch)
    return cfg


def run_or_exit(prepare: Callable[[], Runner], action: str) -> None:
    """Prepare a runner, run it and end the process; the last line of the log says why it ended.

    The exit status is 0 after a whole run, 1 after an error and ``mmfreq.preemption.REQUEUE`` after
    a run that was asked to stop and can go on.

    Args:
        prepare (Callable): Builds the runner.
        action (str): ``'train'`` or ``'test'``.
    """
    with errors_as_messages():
        runner = prepare()
    status: Any = 0
    try:
        getattr(runner, action)()
    except Preempted as stop:
        status = stop.code
        runner.visualizer.close()  # writes what is left
        print_log(f'stopped on request, exit status {status}: start again with --resume', 'current')
    except Exception as error:
        # PyTorch's handler raises for every child that ends while a worker is dead, here as well.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        message = log_failure(error, Path(runner.log_dir) / f'{runner.timestamp}.log', runner.cfg)
        print(f'error: {message}', file=sys.stderr)
        status = 1
    several = get_world_size() > 1
    if status != 1:  # after an error the others may never come
        del runner
        finish_distributed()
    if status and several:
        # At once: srun kills the other tasks when the first one has left, and torch can wait for
        # processes that are gone.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    if status:
        sys.exit(status)
