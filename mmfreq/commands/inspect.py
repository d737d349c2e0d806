"""Look at a data set, and write a config that trains on it.

Images and masks, images in a folder for each class, or a COCO file. A folder has images/ and masks/
(or annotations/, labels/), each with train/ and val/ if there is a split, or train/ and val/, each
with a folder for each class; without a split one is proposed. All files are read: what does not fit
is named with what to do, and a written config leaves it out.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.inspection.class_folders import (
    ClassFolders,
    find_class_folders,
    inspect_class_folders,
)
from mmfreq.inspection.coco import CocoData, inspect_coco
from mmfreq.inspection.configs import (
    base_config,
    write_classification_config,
    write_detection_config,
    write_segmentation_config,
)
from mmfreq.inspection.report import Report
from mmfreq.inspection.samples import draw_classes, draw_coco, draw_segmentation, write_sheet
from mmfreq.inspection.segmentation import SegmentationData, inspect_segmentation

__all__ = ['main']

EXAMPLE = """\
  mmfreq inspect data/camvid --out camvid.py --sheet camvid.jpg
  mmfreq inspect photos --masks drawn --write-masks masks --decoder fpn --out own.py
  mmfreq inspect data/coco/annotations/instances_train2017.json --decoder retinanet --out own.py
  mmfreq inspect data/objects --backbone affnet-et --out own.py
  mmfreq train own.py"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument(
        'data', type=Path, metavar='FOLDER|JSON', help='folder of a data set, or a COCO file'
    )
    parser.add_argument(
        '--masks', type=Path, metavar='FOLDER', help='of the masks, if FOLDER has the images only'
    )
    parser.add_argument(
        '--write-masks',
        type=Path,
        metavar='DIR',
        help='write masks of class ids there, from masks of 0 and 255, of colours or of 16 bits',
    )
    parser.add_argument('--backbone', default='gfnet-h-s', help='default: gfnet-h-s')
    parser.add_argument(
        '--decoder',
        help='upernet, fpn, mask_rcnn, ... (default: upernet; mask_rcnn or retinanet; none for a '
        'folder for each class)',
    )
    parser.add_argument('--out', type=Path, metavar='CONFIG', help='write a config for the data')
    parser.add_argument('--sheet', type=Path, metavar='JPG', help='draw samples with their truth')
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        if args.out is not None and args.out.suffix != '.py':
            raise ValueError(f'--out {args.out}: a config is a file NAME.py')
        data, report, base = _inspect(args)
        print(report.text())
        draw, write = WAYS[type(data)]
        if args.sheet and not report.obstacles:
            write_sheet(draw(data), args.sheet)
            print(f'\nsamples: {args.sheet}')
        if report.obstacles:
            unwritten = f'; {args.out} is not written' if args.out else ''
            sys.exit(f'error: {len(report.obstacles)} to be mended, see above{unwritten}')
        if args.out:
            written = write(data, base, args.out)
            print(f'\nconfig: {", ".join(map(str, written))}\ntrain:  mmfreq train {args.out}')
        else:
            print('\n--out CONFIG.py writes a config that trains on this')


def _inspect(args: argparse.Namespace) -> tuple[Any, Report, str]:
    """What was found, and the name of the config to inherit from."""
    if args.data.suffix.lower() == '.json':
        if args.masks or args.write_masks:
            raise ValueError('--masks and --write-masks are for folders of images and masks')
        base = base_config(args.backbone, args.decoder or 'retinanet', 'coco')
        data, report = inspect_coco(args.data)
        return data, report, _with_masks(args, data, report, base)
    if args.data.is_file():
        raise ValueError(f'{args.data} is neither a folder nor a COCO file (.json)')
    classes = None if args.masks or args.write_masks else find_class_folders(args.data)
    if classes is not None:
        if args.decoder:
            raise ValueError(
                f'--decoder {args.decoder}: {args.data} has a folder for each class, of which a '
                'classifier is made, without a decoder; name the folder of masks with --masks'
            )
        base = base_config(args.backbone, None, 'in1k')
        return *inspect_class_folders(classes), base
    base = base_config(args.backbone, args.decoder or 'upernet', 'ade20k')
    return *inspect_segmentation(args.data, args.masks, args.write_masks), base


# What draws samples of the data and what writes a config for them.
WAYS: dict[type, tuple[Any, Any]] = {
    CocoData: (draw_coco, write_detection_config),
    ClassFolders: (draw_classes, write_classification_config),
    SegmentationData: (draw_segmentation, write_segmentation_config),
}


def _with_masks(args: argparse.Namespace, data: CocoData, report: Report, base: str) -> str:
    """The base for boxes and outlines where there are any, unless a decoder is asked for."""
    if args.decoder is None and data.has_masks:
        return base_config(args.backbone, 'mask_rcnn', 'coco')
    if base.startswith('mask') and not data.has_masks:
        report.obstacles.append(
            f'{args.decoder} needs an outline (segmentation) of every object; --decoder retinanet '
            'does with boxes'
        )
    return base
