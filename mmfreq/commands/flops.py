"""Count parameters and operations of a config's model, or of a backbone by name.

Fourier transforms, complex products, dynamic filters, attention and region features are counted.
An operator without a known cost ends the command with status 1 and its name.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from mmfreq.analysis.cost.operator_costs import CONVENTIONS
from mmfreq.analysis.cost.report import (
    LAYOUTS,
    Counted,
    count_networks,
    show_costs,
    uncounted_operators,
)
from mmfreq.engine.command_line import add_config_options, errors_as_messages, make_parser
from mmfreq.engine.config_options import read_with_options
from mmfreq.models.whole_network import WholeNetwork
from mmfreq.utils.config_files import is_config
from mmfreq.zoo import backbone_config, build_backbone, build_model, default_shape, image_channels

__all__ = ['main']

EXAMPLE = """\
  mmfreq flops configs/upernet_gfnet_h_s_ade20k.py --shape 512 2048
  mmfreq flops --backbone mmfreq.GFNet --arch h-s \\
      --shape 224 --shape 512
  mmfreq flops --backbone convnext-t --json
  mmfreq flops configs/*.py --markdown"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument(
        'configs',
        nargs='*',
        metavar='CONFIG',
        help='configs by path or name, also of a library, or backbones by name: '
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py, gfnet-h-s',
    )
    parser.add_argument(
        '--backbone',
        nargs='+',
        default=[],
        metavar='NAME',
        help='backbones in place of configs: gfnet-h-s, convnext-t, ..., or a registered type '
        'such as mmfreq.GFNet',
    )
    parser.add_argument('--arch', help='variant of a registered type, such as h-s')
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        action='append',
        metavar='N',
        help='image height and width in pixels, one number for squares; may be given several times '
        '(default: 224 for a backbone, the crop of a segmentor, 800 1280 for a detector)',
    )
    parser.add_argument('--convention', choices=CONVENTIONS, default='paper', help='default: paper')
    formats = parser.add_mutually_exclusive_group()
    for name, what in LAYOUTS.items():
        formats.add_argument(
            f'--{name}', dest='format', action='store_const', const=name, help=f'print {what}'
        )
    parser.add_argument(
        '--allow-uncounted',
        action='store_true',
        help='list operators without a known cost instead of failing',
    )
    add_config_options(parser)
    args = parser.parse_args()
    if bool(args.configs) == bool(args.backbone):
        parser.error('name configs or a backbone with --backbone')
    if args.cfg_options and args.backbone:
        parser.error('--cfg-options is for configs')
    if args.arch and not args.backbone:
        parser.error('--arch is for --backbone')
    for shape in args.shape or ():
        if len(shape) > 2 or min(shape) < 1:
            parser.error(f'--shape takes a height and a width in pixels, got {shape}')
    return args


def networks(args: argparse.Namespace) -> Iterator[Counted]:
    """Networks of the command line, built when it is their turn."""
    for backbone in tqdm(args.backbone, disable=len(args.backbone) < 2, unit='backbone'):
        name = f'{backbone} {args.arch}' if args.arch else backbone
        network = build_backbone(backbone_config(backbone, args.arch))
        yield Counted(name, network, 3, (224, 224))
    for path in tqdm(args.configs, disable=len(args.configs) < 2, unit='config'):
        if '-' in path and not is_config(path) and not Path(path).suffix:
            if args.cfg_options:
                raise ValueError(f'--cfg-options is for configs, and {path} is a backbone')
            yield Counted(path, build_backbone(backbone_config(path)), 3, (224, 224))
            continue
        config = read_with_options(path, args.cfg_options)
        network = WholeNetwork(build_model(config))
        yield Counted(path, network, image_channels(config), default_shape(config))


def main() -> None:
    """Run the command."""
    args = parse_args()
    # Libraries print when they are imported.
    with errors_as_messages(), contextlib.redirect_stdout(sys.stderr):
        records = count_networks(networks(args), args.shape or [], args.convention)
    print(show_costs(records, args.format))
    uncounted = uncounted_operators(records)
    if uncounted:
        print('not counted: ' + ', '.join(uncounted), file=sys.stderr)
        if not args.allow_uncounted:
            sys.exit('error: the result is incomplete; see --allow-uncounted')
