"""Cut the objects of COCO's most frequent categories out: a small data set for classifiers.

OUT gets train and val with a folder for each category. A config for them sets data_root and
classes, which are printed; see docs/your_data.md.
"""

from pathlib import Path

from mmfreq.datasets.object_crops import crop_objects, frequent_categories
from mmfreq.engine.command_line import errors_as_messages, make_parser

SPLITS = ('train', 'val')
EXAMPLE = '  python tools/dataset_converters/crop_coco_objects.py data/coco data/objects'


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('coco', type=Path, help='folder with train2017, val2017 and annotations')
    parser.add_argument('out', type=Path, help='folder for train and val; must not hold them yet')
    parser.add_argument('--classes', type=int, default=10, metavar='N', help='default: 10')
    parser.add_argument(
        '--most', type=int, default=1000, metavar='N', help='images of each; default: 1000'
    )
    parser.add_argument(
        '--min-side', type=int, default=32, metavar='PX', help='of an object; default: 32'
    )
    args = parser.parse_args()
    with errors_as_messages():
        files = [args.coco / f'annotations/instances_{split}2017.json' for split in SPLITS]
        classes = frequent_categories(files, args.classes, args.min_side)
        for split, file in zip(SPLITS, files, strict=True):
            images, out = args.coco / f'{split}2017', args.out / split
            written = crop_objects(file, images, out, classes, args.most, args.min_side)
            print(split, ', '.join(f'{name} {number}' for name, number in written.items()))
    print(f'classes = {tuple(sorted(path.name for path in (args.out / "train").iterdir()))}')


if __name__ == '__main__':
    main()
