"""Evaluate a checkpoint of a segmentor, detector or classifier."""

import argparse

from mmfreq.engine.command_line import make_run_parser, read_config_of, run_or_exit
from mmfreq.engine.config_errors import require_keys
from mmfreq.engine.launch import prepare_distributed
from mmfreq.engine.predictions import (
    UniqueNamesHook,
    save_predictions,
    show_nothing,
    show_predictions,
)
from mmfreq.engine.pretrained import check_checkpoint
from mmfreq.engine.run_configs import enable_tta
from mmfreq.engine.runner import Runner

__all__ = ['main']

EXAMPLE = """\
  mmfreq test configs/upernet_gfnet_h_s_ade20k.py \\
      work_dirs/upernet_gfnet_h_s_ade20k/iter_160000.pth --show-dir pictures"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_run_parser(__doc__, EXAMPLE)
    parser.add_argument('checkpoint', help='checkpoint of the whole model')
    parser.add_argument(
        '--out',
        metavar='PATH',
        help='save predictions: a folder of label maps (PNG) for a segmentor, a .pkl file for a '
        'detector or classifier',
    )
    parser.add_argument('--show-dir', help='draw predictions beside the ground truth into a folder')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> Runner:
    """Build the runner that the command line asks for, after checking all it names."""
    cfg = read_config_of(args, ['test'])
    require_keys(cfg, ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'), 'a test')
    check_checkpoint(args.checkpoint)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.out:
        save_predictions(cfg, args.out)
    if args.show_dir:
        show_predictions(cfg, args.show_dir)
    else:
        show_nothing(cfg)
    if args.tta:
        enable_tta(cfg)
    prepare_distributed(cfg, args.launcher)
    runner = Runner.from_cfg(cfg)
    numbered = args.show_dir and not args.out and cfg.get('default_scope') == 'mmseg'
    if (args.show_dir or args.out) and not numbered:  # mmseg adds numbers to pictures
        runner.register_hook(UniqueNamesHook('--out' if args.out else '--show-dir'))
    return runner


def main() -> None:
    """Run the command."""
    arguments = parse_args()
    run_or_exit(lambda: prepare(arguments), 'test')
