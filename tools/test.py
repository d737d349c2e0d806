"""Evaluate a checkpoint of a segmentor, detector or classifier."""

import argparse

from mmengine.config import Config

from mmfreq.engine import run_configs
from mmfreq.engine.command_line import make_run_parser, read_config_of, run_or_exit
from mmfreq.engine.launch import prepare_distributed
from mmfreq.engine.runner import Runner

EXAMPLE = """\
  python tools/test.py configs/upernet_gfnet_h_s_ade20k.py \\
      work_dirs/upernet_gfnet_h_s_ade20k/iter_160000.pth --show-dir pictures"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_run_parser(__doc__, EXAMPLE)
    parser.add_argument('checkpoint', help='checkpoint of the whole model')
    parser.add_argument(
        '--out',
        metavar='PATH',
        help='save predictions: a folder of label maps (PNG) for a segmentor, a .pkl file for a '
        'detector',
    )
    parser.add_argument('--show-dir', help='draw predictions beside the ground truth into a folder')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    return parser.parse_args()


def save_predictions(cfg: Config, path: str) -> None:
    """Write predictions as ``--out`` says."""
    if cfg.default_scope == 'mmseg':
        cfg.test_evaluator.output_dir = path
    elif not path.endswith('.pkl'):
        raise ValueError(f'--out must end in .pkl for a detector, got {path}')
    else:
        cfg.test_evaluator = [cfg.test_evaluator, dict(type='DumpDetResults', out_file_path=path)]


def prepare(args: argparse.Namespace) -> Runner:
    """Build the runner that the command line asks for, after checking all it names."""
    cfg = read_config_of(args)
    run_configs.check_checkpoint(args.checkpoint)
    cfg.load_from = args.checkpoint
    if args.tta:
        run_configs.enable_tta(cfg)
    if args.out:
        save_predictions(cfg, args.out)
    if args.show_dir:
        run_configs.show_predictions(cfg, args.show_dir)
    prepare_distributed(cfg, args.launcher)
    return Runner.from_cfg(cfg)


if __name__ == '__main__':
    arguments = parse_args()
    run_or_exit(lambda: prepare(arguments), 'test')
