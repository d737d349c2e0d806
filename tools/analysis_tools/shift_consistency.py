"""How much predictions of a segmentor change when the camera moves by some pixels.

Two windows are cut out of every image, one of them further down and to the right. Where they
overlap they show the same, so the labels should be the same. The share of equal labels is printed
for pixels near a border of a window and for those inside: filters that are periodic see the
opposite border, convolutions see zeros.
"""

import argparse
import csv
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mmfreq.engine.command_line import add_trust_option, errors_as_messages, make_parser
from mmfreq.inference.model import init_model
from mmfreq.inference.predict import predict
from mmfreq.inference.results import Segmentation
from mmfreq.inference.sources import find_sources, read_source

EXAMPLE = """\
  python tools/analysis_tools/shift_consistency.py camvid.py work_dirs/camvid/iter_1000.pth \\
      --images data/camvid/images/test"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('config', help='config of a segmentor')
    parser.add_argument('checkpoint', help='checkpoint of the whole model')
    parser.add_argument('--images', nargs='+', required=True, metavar='PATH')
    parser.add_argument(
        '--shift', type=int, default=16, help='in pixels, along both axes (default: 16)'
    )
    parser.add_argument(
        '--border', type=int, default=32, help='width of what is near a border (default: 32)'
    )
    add_trust_option(parser)
    return parser.parse_args()


def equal_labels(
    first: NDArray[Any], second: NDArray[Any], shift: int, border: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Compare the label maps of two windows, the second further by ``shift`` along both axes.

    Args:
        first (NDArray): Label map, shape ``(H, W)``.
        second (NDArray): Label map, shape ``(H, W)``.
        shift (int): In pixels.
        border (int): In pixels.

    Returns:
        tuple[NDArray, NDArray]: For each pixel of both windows whether its labels are equal, and
        whether it is near a border of one of them; shape ``(H - shift, W - shift)``.
    """
    height, width = first.shape
    inside = np.zeros((height - shift, width - shift), bool)
    inside[border : height - shift - border, border : width - shift - border] = True
    return first[shift:, shift:] == second[: height - shift, : width - shift], ~inside


def shares(
    model: Any, images: Iterable[NDArray[np.uint8]], shift: int, border: int
) -> tuple[float, float]:
    """Shares of equal labels near the borders and inside, over all images (RGB)."""
    equal = np.zeros(2)
    count = np.zeros(2)
    for image in images:
        height, width = (side - shift for side in image.shape[:2])
        if min(height, width) - shift <= 2 * border:
            raise ValueError(
                f'an image of {image.shape[:2]} is too small for --shift {shift} and '
                f'--border {border}'
            )
        windows = [image[:height, :width], image[shift:, shift:]]
        first, second = predict(model, [np.ascontiguousarray(window) for window in windows])
        if not isinstance(first, Segmentation):
            raise ValueError('only segmentors have labels for pixels')
        same, is_near = equal_labels(first.label_map, second.label_map, shift, border)
        for i, where in enumerate((is_near, ~is_near)):
            equal[i] += same[where].sum()
            count[i] += where.sum()
    near, inside = equal / count
    return float(near), float(inside)


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        if args.shift < 1 or args.border < 1:
            raise ValueError('--shift and --border must be at least 1')
        model: Any = init_model(args.config, args.checkpoint)
        sources = find_sources(args.images)
        images = (read_source(source.image, 3)[..., ::-1] for source in tqdm(sources, unit='image'))
        near, inside = shares(model, images, args.shift, args.border)
    writer = csv.writer(sys.stdout, lineterminator='\n')
    writer.writerow(('config', 'images', 'shift', 'border', 'equal_near_border', 'equal_inside'))
    numbers = (len(sources), args.shift, args.border, f'{near:.4f}', f'{inside:.4f}')
    writer.writerow((args.config, *numbers))


if __name__ == '__main__':
    main()
