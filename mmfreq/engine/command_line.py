"""What the command lines of training and testing share."""

import argparse
import sys
from collections.abc import Callable

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from mmfreq.engine.launch import LAUNCHERS, finish_distributed
from mmfreq.engine.run_configs import read_config, read_only_safe_checkpoints
from mmfreq.utils.checkpoint import CheckpointError

__all__ = ['make_parser', 'read_config_of', 'run_or_exit']


def make_parser(description: str, example: str) -> argparse.ArgumentParser:
    """Parser with the options that every run has.

    Args:
        description (str): What the tool does.
        example (str): Example calls, one or more lines.

    Returns:
        argparse.ArgumentParser: Parser to which a tool adds its own options.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'example:\n{example}',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of the run; default work_dirs/<config>')
    parser.add_argument('--data-root', help="folder of the data set in place of the config's")
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='default: none')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='values in place of those of the config, by dotted key',
    )
    return parser


def read_config_of(args: argparse.Namespace) -> Config:
    """Read the config that a command line names, with the options of :func:`make_parser`.

    Args:
        args (argparse.Namespace): Parsed command line.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If the config or a part of its data set is missing.
    """
    read_only_safe_checkpoints()
    return read_config(args.config, args.cfg_options, args.work_dir, args.data_root)


def run_or_exit(prepare: Callable[[], Runner], action: str) -> None:
    """Prepare a runner and run it; wrong input ends the process with one message.

    Args:
        prepare (Callable): Builds the runner.
        action (str): ``'train'`` or ``'test'``.
    """
    try:
        runner = prepare()
    except (ValueError, FileNotFoundError, ConnectionError) as error:
        sys.exit(f'error: {error}')
    try:
        getattr(runner, action)()
    except CheckpointError as error:  # MMEngine loads pretrained weights when a run starts
        sys.exit(f'error: {error}')
    del runner
    finish_distributed()
