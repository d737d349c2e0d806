"""Count parameters and operations of a config's model, or of a backbone by name.

Fourier transforms, complex products, dynamic filters, attention and region features are counted.
An operator without a known cost ends the command with status 1 and its name.
"""

import argparse
import contextlib
import csv
import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
from tabulate import tabulate
from torch import nn
from tqdm import tqdm

from mmfreq.analysis.cost.flops import Cost, count_cost
from mmfreq.analysis.cost.operator_costs import CONVENTIONS
from mmfreq.engine.command_line import add_config_options, errors_as_messages, make_parser
from mmfreq.engine.config_errors import merge_options
from mmfreq.models.whole_network import WholeNetwork
from mmfreq.utils.config_files import read_model_config
from mmfreq.zoo import backbone_config, build_backbone, build_model, default_shape, image_channels

EXAMPLE = """\
  python tools/analysis_tools/get_flops.py configs/upernet_gfnet_h_s_ade20k.py --shape 512 2048
  python tools/analysis_tools/get_flops.py --backbone mmfreq.GFNet --arch h-s \\
      --shape 224 --shape 512
  python tools/analysis_tools/get_flops.py --backbone convnext-t --json
  python tools/analysis_tools/get_flops.py configs/*.py --markdown"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument(
        'configs',
        nargs='*',
        metavar='CONFIG',
        help='config files, also of a library: mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
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
    for name, what in (
        ('json', 'one object; params and flops are plain numbers'),
        ('csv', 'comma-separated values'),
        ('markdown', 'a Markdown table'),
    ):
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


def networks(args: argparse.Namespace) -> Iterator[tuple[str, nn.Module, int, tuple[int, int]]]:
    """Networks of the command line: name, network, channels of images and their usual size."""
    for backbone in tqdm(args.backbone, disable=len(args.backbone) < 2, unit='backbone'):
        name = f'{backbone} {args.arch}' if args.arch else backbone
        yield name, build_backbone(backbone_config(backbone, args.arch)), 3, (224, 224)
    for path in tqdm(args.configs, disable=len(args.configs) < 2, unit='config'):
        config = read_model_config(path)
        merge_options(config, args.cfg_options)
        network = WholeNetwork(build_model(config))
        yield path, network, image_channels(config), default_shape(config)


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Count everything that the command line names.

    Raises:
        ValueError: If a network is unknown or cannot take images of the size.
    """
    results = []
    for name, network, channels, usual in networks(args):
        for shape in args.shape or [usual]:
            height, width = shape[0], shape[-1]
            try:
                images = torch.zeros(1, channels, height, width)
                cost = count_cost(network, images, CONVENTIONS[args.convention])
            except Exception as error:  # whatever a network of any library does
                raise ValueError(
                    f'{name} cannot take images of {height} x {width} pixels: '
                    f'{type(error).__name__}: {error}'
                ) from error
            results.append(as_record(name, (height, width), args.convention, cost))
    return results


def as_record(name: str, shape: tuple[int, int], convention: str, cost: Cost) -> dict[str, Any]:
    """A result as plain values."""
    return dict(
        model=name,
        shape=list(shape),
        params=cost.params,
        flops=cost.flops,
        convention=convention,
        unit=CONVENTIONS[convention].unit,
        parts={part: vars(value) for part, value in cost.parts.items()},
        operators=cost.operators,
        uncounted=cost.uncounted,
    )


def show(results: list[dict[str, Any]], layout: str | None) -> None:
    """Print results as text, JSON, CSV or Markdown."""
    if layout == 'json':
        print(json.dumps(results[0] if len(results) == 1 else dict(results=results), indent=2))
        return
    rows = []
    for result in results:
        size = ' x '.join(map(str, result['shape']))
        rows.append((result['model'], size, 'all', result['params'], result['flops']))
        rows += [
            ('', '', name, part['params'], part['flops'])
            if layout is None
            else (result['model'], size, name, part['params'], part['flops'])
            for name, part in result['parts'].items()
        ]
    header = ('model', 'height x width', 'part', 'params', 'flops')
    if layout == 'csv':
        writer = csv.writer(sys.stdout, lineterminator='\n')
        writer.writerow((*header, 'convention'))
        writer.writerows((*row, results[0]['convention']) for row in rows)
        return
    rows = [(*row[:3], f'{row[3] / 1e6:.2f} M', f'{row[4] / 1e9:.3f} G') for row in rows]
    style = 'github' if layout == 'markdown' else 'simple'
    print(tabulate(rows, header, tablefmt=style, disable_numparse=True))
    convention = CONVENTIONS[results[0]['convention']]
    print(f'\nFlops of one image in {convention.unit}, {convention.description};')
    print('norms, activations, softmax and additions are not counted.')


def main() -> None:
    """Run the command."""
    args = parse_args()
    # Libraries print when they are imported.
    with errors_as_messages(), contextlib.redirect_stdout(sys.stderr):
        results = measure(args)
    show(results, args.format)
    uncounted = {
        f'{name} in {result["model"]} ({count} times)'
        for result in results
        for name, count in result['uncounted'].items()
    }
    if uncounted:
        print('not counted: ' + ', '.join(sorted(uncounted)), file=sys.stderr)
        if not args.allow_uncounted:
            sys.exit('error: the result is incomplete; see --allow-uncounted')


if __name__ == '__main__':
    main()
