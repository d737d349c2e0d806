"""Test a segmentor, detector or classifier and draw which class it takes for which."""

import argparse

from mmfreq.engine.command_line import make_run_parser, read_config_of, run_or_exit
from mmfreq.engine.config_errors import require_keys
from mmfreq.engine.launch import prepare_distributed
from mmfreq.engine.pretrained import check_checkpoint
from mmfreq.engine.runner import Runner

EXAMPLE = """\
  python tools/visualization/confusion_matrix.py configs/fpn_dfformer_s18_ade20k.py \\
      work_dirs/fpn_dfformer_s18_ade20k/iter_40000.pth --out confusion.png"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_run_parser(__doc__, EXAMPLE)
    parser.add_argument('checkpoint', help='checkpoint of the whole model')
    parser.add_argument(
        '--out',
        default='work_dirs/confusion.png',
        help='picture; counts go into a CSV beside it (default: work_dirs/confusion.png)',
    )
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='of detections that count (default: 0.3)'
    )
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> Runner:
    """Build a runner that tests with the confusion matrix as its metric."""
    cfg = read_config_of(args, ['test'])
    require_keys(cfg, ('model', 'test_dataloader', 'test_cfg'), 'a test')
    check_checkpoint(args.checkpoint)
    cfg.load_from, cfg.resume = args.checkpoint, False
    cfg.test_evaluator = dict(
        type='mmfreq.ConfusionMatrix', out_file=args.out, score_thr=args.score_thr
    )
    prepare_distributed(cfg, args.launcher)
    return Runner.from_cfg(cfg)


if __name__ == '__main__':
    arguments = parse_args()
    run_or_exit(lambda: prepare(arguments), 'test')
