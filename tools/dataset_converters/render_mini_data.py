"""Render a small data set in the layouts of ADE20K and COCO."""

import argparse
import sys

from mmfreq.datasets.mini import best_constant_miou, render_mini_data


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/dataset_converters/render_mini_data.py data/mini --train 80',
    )
    parser.add_argument('out_dir', help='folder for ADEChallengeData2016 and coco')
    parser.add_argument('--train', type=int, default=160, help='training images (default: 160)')
    parser.add_argument('--val', type=int, default=40, help='validation images (default: 40)')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(192, 256), metavar=('H', 'W'), help='default: 192 256'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the scenes (default: 0)')
    args = parser.parse_args()
    try:
        render_mini_data(args.out_dir, args.train, args.val, tuple(args.size), args.seed)
    except (ValueError, FileExistsError) as error:
        sys.exit(f'error: {error}')
    labels = f'{args.out_dir}/ADEChallengeData2016/annotations/validation'
    print(f'rendered {args.train} + {args.val} scenes into {args.out_dir}')
    print(f'best constant prediction: {best_constant_miou(labels):.2f} mIoU')


if __name__ == '__main__':
    main()
