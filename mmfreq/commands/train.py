"""Train a segmentor, detector or classifier from a config."""

import argparse
import logging

from mmengine.dist import get_world_size
from mmengine.logging import print_log

from mmfreq.engine import pretrained, run_configs
from mmfreq.engine.command_line import make_run_parser, read_config_of, run_or_exit
from mmfreq.engine.config_errors import require_keys
from mmfreq.engine.launch import prepare_distributed
from mmfreq.engine.resume import resume
from mmfreq.engine.runner import Runner

__all__ = ['main']

EXAMPLE = """\
  mmfreq train configs/upernet_gfnet_h_s_ade20k.py --pretrained gfnet-h-s.pth
  mmfreq train configs/mask_rcnn_gfnet_h_ti_coco.py --data-root /data/coco \\
      --cfg-options train_cfg.max_epochs=1 train_dataloader.num_workers=2"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_run_parser(__doc__, EXAMPLE)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='auto|PATH',
        help='go on from the newest whole checkpoint of the work dir, or start if there is none; '
        'or go on from a given one',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (GPU)')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size, from auto_scale_lr.base_batch_size',
    )
    parser.add_argument(
        '--pretrained',
        metavar='PATH|URL|none',
        help="the backbone's weights, in place of those of the config; released checkpoints are "
        'taken as they are; a resumed run needs none',
    )
    parser.add_argument('--tensorboard', action='store_true', help='log to TensorBoard, too')
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> Runner:
    """Build the runner that the command line asks for, after checking all it names."""
    cfg = read_config_of(args, ['train', 'val'])
    require_keys(cfg, ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'), 'training')
    prepare_distributed(cfg, args.launcher)
    source = args.resume or (cfg.get('resume') and (cfg.get('load_from') or 'auto'))
    going_on = bool(source) and resume(cfg, source)
    if args.pretrained:  # a resumed run has its weights from its own checkpoint
        pretrained.set_pretrained(cfg, 'none' if going_on else args.pretrained)
    started = going_on or pretrained.check_pretrained(cfg) or cfg.get('load_from')
    if args.amp:
        run_configs.enable_amp(cfg)
    if args.auto_scale_lr:
        run_configs.enable_auto_scale_lr(cfg)
    if args.tensorboard:
        run_configs.add_tensorboard(cfg)
    runner = Runner.from_cfg(cfg)
    warn_about(runner, bool(started))
    return runner


def warn_about(runner: Runner, started: bool) -> None:
    """Log what often makes a result differ from the expected one."""
    cfg = runner.cfg
    if not started:
        print_log('the backbone starts from scratch; see --pretrained', 'current', logging.WARNING)
    scaling = cfg.get('auto_scale_lr') or {}
    batch_size = get_world_size() * cfg.train_dataloader.get('batch_size', 1)
    if not scaling.get('enable') and scaling.get('base_batch_size', batch_size) != batch_size:
        print_log(
            f'the learning rate is made for batches of {scaling["base_batch_size"]}, this run has '
            f'{batch_size}; see --auto-scale-lr',
            'current',
            logging.WARNING,
        )


def main() -> None:
    """Run the command."""
    arguments = parse_args()
    run_or_exit(lambda: prepare(arguments), 'train')
