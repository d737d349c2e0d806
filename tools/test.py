"""Evaluate a checkpoint of a segmentor, detector or classifier."""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from mmfreq.engine import run_configs
from mmfreq.engine.launch import LAUNCHERS, finish_distributed, prepare_distributed


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example:\n'
        '  python tools/test.py configs/upernet_gfnet_h_s_ade20k.py '
        'work_dirs/upernet_gfnet_h_s_ade20k/iter_160000.pth --show-dir pictures',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint of the whole model')
    parser.add_argument('--work-dir', help='folder for logs; default work_dirs/<config>')
    parser.add_argument(
        '--out',
        metavar='PATH',
        help='save predictions: a folder of label maps (PNG) for a segmentor, a .pkl file for a '
        'detector',
    )
    parser.add_argument('--show-dir', help='draw predictions beside the ground truth into a folder')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument('--data-root', help="folder of the data set in place of the config's")
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='default: none')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='values in place of those of the config, by dotted key',
    )
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
    cfg = run_configs.read_config(args.config, args.cfg_options, args.work_dir, args.data_root)
    run_configs.read_only_safe_checkpoints()
    if not Path(args.checkpoint).is_file():
        raise FileNotFoundError(f'checkpoint {args.checkpoint} does not exist')
    cfg.load_from = args.checkpoint
    if args.tta:
        run_configs.enable_tta(cfg)
    if args.out:
        save_predictions(cfg, args.out)
    if args.show_dir:
        run_configs.show_predictions(cfg, args.show_dir)
    prepare_distributed(cfg, args.launcher)
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    return runner


def main() -> None:
    """Run the command."""
    args = parse_args()
    try:
        runner = prepare(args)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'error: {error}')
    runner.test()
    del runner
    finish_distributed()


if __name__ == '__main__':
    main()
