"""A sheet of samples of a data set, each beside its truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_masks

from mmfreq.inference.drawing import blend, draw_boxes, sheet, with_legend
from mmfreq.inference.model import class_colours
from mmfreq.inference.sources import read_source
from mmfreq.inspection.class_folders import ClassFolders, samples_of
from mmfreq.inspection.coco import CocoData
from mmfreq.inspection.masks import read_mask
from mmfreq.inspection.segmentation import SegmentationData
from mmfreq.utils.atomic import atomic_write

__all__ = ['draw_classes', 'draw_coco', 'draw_segmentation', 'write_sheet']

SAMPLES = 6
OPACITY = 0.6
RGB = NDArray[np.uint8]


def draw_segmentation(data: SegmentationData) -> RGB:
    """Draw images beside their masks.

    Args:
        data (SegmentationData): What was inspected.

    Returns:
        NDArray: RGB image with up to six rows.
    """
    pairs, first = data.splits['train'], int(data.zero_is_no_class)
    rows = []
    for name in _spread(pairs.names):
        image = _read_rgb(pairs.images / (name + data.image_ending))
        labels, _, _ = read_mask(pairs.masks / (name + data.mask_ending))
        labels = labels - first
        there = [i for i in np.unique(labels).tolist() if 0 <= i < len(data.classes)]
        picture = blend(image, labels, data.palette, OPACITY)
        legend = [(data.palette[i], data.classes[i]) for i in there]
        rows.append([image, with_legend(picture, legend)])
    return sheet(rows, ('image', 'classes'), 480)


def draw_coco(data: CocoData) -> RGB:
    """Draw images beside their boxes and outlines.

    Args:
        data (CocoData): What was inspected.

    Returns:
        NDArray: RGB image with up to six rows.
    """
    split = data.splits['train']
    categories = [category['id'] for category in split.content['categories']]
    colours = class_colours(None, len(categories))
    annotated: dict[Any, list[dict]] = {}
    for annotation in split.content['annotations']:
        if annotation['category_id'] in categories and annotation.get('bbox'):
            annotated.setdefault(annotation['image_id'], []).append(annotation)
    rows = []
    for entry in _spread([entry for entry in split.kept if entry['id'] in annotated]):
        image = _read_rgb(split.images / entry['file_name'])
        found = annotated[entry['id']]
        boxes = np.array([a['bbox'] for a in found], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        kinds = [categories.index(a['category_id']) for a in found]
        masks = np.stack([_outline(a, *image.shape[:2]) for a in found])
        texts = [str(data.classes[kind]) for kind in kinds]
        rows.append([image, draw_boxes(image, boxes, texts, [colours[k] for k in kinds], masks)])
    return sheet(rows, ('image', 'objects'), 480)


def draw_classes(data: ClassFolders) -> RGB:
    """Draw images below the names of their classes.

    Args:
        data (ClassFolders): What was inspected.

    Returns:
        NDArray: RGB image, a column for each of up to six classes.
    """
    names = _spread(data.classes)
    files = samples_of(data, names, 3)
    rows = [
        [_squared(_read_rgb(of_class[min(row, len(of_class) - 1)])) for of_class in files]
        for row in range(max(map(len, files)))
    ]
    return sheet(rows, names, 240)


def write_sheet(picture: RGB, path: Path) -> None:
    """Write a picture as JPEG or whatever the ending of the path says."""
    with atomic_write(path) as file:
        kind = 'PNG' if path.suffix.lower() == '.png' else 'JPEG'
        Image.fromarray(picture).save(file, kind, quality=88)


def _spread(items: Sequence[Any]) -> list[Any]:
    """Up to six items, from the first to the last."""
    if len(items) <= SAMPLES:
        return list(items)
    return [items[i * (len(items) - 1) // (SAMPLES - 1)] for i in range(SAMPLES)]


def _read_rgb(path: Path) -> RGB:
    return np.ascontiguousarray(read_source(str(path), 3)[..., ::-1])


def _squared(image: RGB) -> RGB:
    """An image in the middle of a white square."""
    height, width = image.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, 3), 255, np.uint8)
    square[top : top + height, left : left + width] = image
    return square


def _outline(annotation: dict[str, Any], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels of an object; none if it has no outline, or one that cannot be read."""
    outline = annotation.get('segmentation')
    try:
        if isinstance(outline, list) and outline:
            parts = coco_masks.frPyObjects(outline, height, width)
            return coco_masks.decode(coco_masks.merge(parts)).astype(bool)
        if isinstance(outline, dict) and list(outline['size']) == [height, width]:
            packed = isinstance(outline['counts'], (str, bytes))
            whole = outline if packed else coco_masks.frPyObjects(outline, height, width)
            return coco_masks.decode(whole).astype(bool)
    except Exception:  # whatever an outline from strangers leads to
        pass
    return np.zeros((height, width), bool)
