"""Draw the filters of a backbone, and what its dynamic filters do to given images.

Spectra have frequency zero in the middle and axes in cycles per pixel of the feature map. What a
backbone has is drawn: filters of GFNet, GFFormer, DFFormer and HorNet (magnitude, phase, kernel),
decays of vHeat by frequency; for images the coefficients of DFFormer, the masks of AFFNet, the band
gains of DSM and FDConv.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import nn

from mmfreq.analysis.inputs import open_backbone, preprocess, read_images
from mmfreq.analysis.spectra import pictures
from mmfreq.analysis.spectra.filters import gains_for, masks_for, stored_decays, stored_filters
from mmfreq.engine.command_line import add_trust_option, errors_as_messages, make_parser
from mmfreq.models.mixers import GlobalFilter

EXAMPLE = """\
  python tools/visualization/vis_filters.py gfnet-h-ti --checkpoint gfnet-h-ti.pth
  python tools/visualization/vis_filters.py configs/fpn_dfformer_s18_ade20k.py \\
      --checkpoint work_dirs/fpn_dfformer_s18_ade20k/iter_40000.pth --images a.jpg b.jpg"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('model', help='a backbone by name, or a config')
    parser.add_argument(
        '--checkpoint', metavar='PATH', help='weights, of a release or a training (default: fresh)'
    )
    parser.add_argument('--images', nargs='+', default=[], metavar='FILE', help='image files')
    parser.add_argument(
        '--size',
        type=int,
        help='in pixels, of images and of what filters are stored for (default: 224, and what the '
        'config says)',
    )
    parser.add_argument(
        '--channels', type=int, default=2, metavar='N', help='filters shown per layer (default: 2)'
    )
    parser.add_argument('--out-dir', default='work_dirs/filters', help='default: work_dirs/filters')
    add_trust_option(parser)
    return parser.parse_args()


def draw(
    backbone: nn.Module, title: str, files: list[str], size: int | None, channels: int
) -> Iterator[tuple[str, Figure]]:
    """Pictures of a backbone with names for their files."""
    is_per_channel = any(isinstance(module, GlobalFilter) for module in backbone.modules())
    layers = stored_filters(backbone)
    for stage, group in itertools.groupby(layers, lambda layer: _stage(layer[0].name)):
        noun = 'channel' if is_per_channel else 'filter'
        yield (
            f'filters_{stage}',
            pictures.draw_filters(f'{title}: filters of {stage}', list(group), channels, noun),
        )
    decays = stored_decays(backbone)
    for stage, decayed in itertools.groupby(decays, lambda layer: _stage(layer.name)):
        yield f'decays_{stage}', pictures.draw_decays(f'{title}: decays of {stage}', list(decayed))
    if not files:
        return
    images = read_images(files, size or 224)
    inputs = preprocess(images, backbone)
    masks = masks_for(backbone, inputs)
    for stage, found in itertools.groupby(masks, lambda mask: _stage(mask.name)):
        yield (
            f'masks_{stage}',
            pictures.draw_masks(f'{title}: masks of {stage}', images, list(found)),
        )
    for i, gains in enumerate(gains_for(backbone, inputs)):
        yield f'gains_{i}', pictures.draw_gains(title, images, gains)


def _stage(name: str) -> str:
    """``'stages.2'`` for ``'stages.2.blocks.0.token_mixer'``."""
    return '.'.join(name.split('.')[:2])


def main() -> None:
    """Run the command."""
    args = parse_args()
    folder = Path(args.out_dir)
    count = 0
    with errors_as_messages():
        backbone = open_backbone(args.model, args.checkpoint, args.size)
        weights = Path(args.checkpoint).name if args.checkpoint else 'fresh weights'
        title = f'{Path(args.model).stem}, {weights}'
        for name, figure in draw(backbone, title, args.images, args.size, args.channels):
            folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(folder / f'{name}.png', dpi=110)
            plt.close(figure)
            count += 1
            print(folder / f'{name}.png', flush=True)
    if not count:
        hint = '' if args.images else '; those of AFFNet, DFFormer, DSM and FDConv need --images'
        sys.exit(f'error: {args.model} has no filters that this tool knows{hint}')


if __name__ == '__main__':
    main()
