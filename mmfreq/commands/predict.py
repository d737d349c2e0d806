"""Segment, detect or classify images, into a folder of pictures and files.

For each image there are NAME_overlay.jpg and NAME.json; a segmentor adds NAME.png, a label map that
MMSegmentation reads as ground truth, and shares.csv with the share of each class; a detector adds
detections.json, in COCO's layout; a classifier adds classes.csv. An image that cannot be read is
named and left out, the others are predicted, and the exit status is 1.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from mmfreq.engine.command_line import (
    add_config_options,
    add_trust_option,
    errors_as_messages,
    make_parser,
)
from mmfreq.engine.config_options import read_with_options
from mmfreq.inference.model import init_model
from mmfreq.inference.predict import Failure, predict_each
from mmfreq.inference.results import Detection
from mmfreq.inference.sources import find_sources
from mmfreq.inference.summary import open_summary

__all__ = ['main']

EXAMPLE = """\
  mmfreq predict upernet_gfnet_h_s_ade20k iter_160000.pth photos/ street.jpg --out predictions
  mmfreq predict my_config.py best.pth 'scans/*.png' --device cpu
  mmfreq predict upernet_gfnet_h_s_ade20k.onnx photos/"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('config', help='config of the model by path or name, or an .onnx file')
    parser.add_argument(
        'checkpoint_and_sources',
        nargs='+',
        metavar='CHECKPOINT SOURCES',
        help='checkpoint of the whole model (none behind an .onnx file), then images, folders or '
        "patterns such as 'photos/*.jpg'",
    )
    parser.add_argument('--out', default='predictions', metavar='DIR', help='default: predictions')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU if there is one)')
    parser.add_argument('--batch-size', type=int, default=1, metavar='N', help='default: 1')
    parser.add_argument(
        '--score', type=float, default=0.3, metavar='S', help='boxes below are not drawn; 0.3'
    )
    add_config_options(parser)
    add_trust_option(parser)
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        names = args.checkpoint_and_sources
        if args.config.endswith('.onnx'):
            from mmfreq.inference.onnx_file import OnnxModel

            if args.device or args.cfg_options:
                raise ValueError(
                    '--device and --cfg-options are for configs; an .onnx file is as it was '
                    'exported, and runs on the CPU'
                )
            sources = find_sources(names)
            model: Any = OnnxModel(args.config)
        else:
            if len(names) < 2:
                raise ValueError('name a checkpoint and at least one image behind the config')
            sources = find_sources(names[1:])
            config = read_with_options(args.config, args.cfg_options)
            model = init_model(config, names[0], args.device)
        failures, done = [], 0
        summary = open_summary(Path(args.out))
        try:
            for result in predict_each(model, sources, args.batch_size):
                if isinstance(result, Failure):
                    failures.append(result)
                    continue
                if isinstance(result, Detection):
                    result.threshold = args.score
                result.save(args.out)
                summary.add(result)
                done += 1
        finally:
            summary.write()
    print(f'{done} of {len(sources)} images: {args.out}')
    for path in summary.files:
        print(f'summary: {path}')
    if failures:
        lines = '\n  '.join(str(failure.error) for failure in failures)
        sys.exit(f'error: {len(failures)} images could not be predicted:\n  {lines}')
