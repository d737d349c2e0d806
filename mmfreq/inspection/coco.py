"""Inspection of a COCO file and its images."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mmfreq.inspection.images import look_at
from mmfreq.inspection.plan import held_out
from mmfreq.inspection.report import Report, describe_sizes, percent, several
from mmfreq.utils.atomic import atomic_write
from mmfreq.utils.errors import DataError
from mmfreq.utils.images import is_inside

__all__ = ['CocoData', 'CocoSplit', 'inspect_coco', 'write_annotations']

PARTS = ('images', 'annotations', 'categories')


@dataclass
class CocoSplit:
    """Images and annotations of one split.

    Attributes:
        path (Path): The annotation file.
        images (Path): Folder of the images.
        content (dict): What the file holds.
        kept (list[dict]): Its entries of images that can be used.
        whole (bool): Whether these are all of the file.
    """

    path: Path
    images: Path
    content: dict[str, Any]
    kept: list[dict[str, Any]]
    whole: bool


@dataclass
class CocoData:
    """What a training on a COCO file needs.

    Attributes:
        splits (dict[str, CocoSplit]): By ``'train'`` and ``'val'``.
        classes (tuple[str, ...]): Names of the categories, in the order of the file.
        has_masks (bool): Whether every object has an outline.
        sizes (list[tuple[int, int]]): Width and height of the training images.
    """

    splits: dict[str, CocoSplit] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    has_masks: bool = False
    sizes: list[tuple[int, int]] = field(default_factory=list)


def inspect_coco(path: Path) -> tuple[CocoData, Report]:
    """Look at a COCO file, the one of the other split beside it, and all their images.

    Args:
        path (Path): The annotation file, of the training images or of all.

    Returns:
        tuple[CocoData, Report]: What a training needs, and what was found.

    Raises:
        FileNotFoundError: If there is no such file, or none of its images is found.
        DataError: If it is no COCO file.
    """
    report, data = Report(), CocoData()
    path = path.absolute()
    other = _other_split(path)
    data.splits['train'] = _look_at_split(path, 'train' if other else '', data, report)
    if other is not None:
        sizes = data.sizes
        data.splits['val'] = _look_at_split(other, 'val', data, report)
        data.sizes = sizes
    train = data.splits['train'].content
    data.classes = tuple(category['name'] for category in train['categories'])
    _report_categories(data, report)
    if not train['annotations'] or not data.classes:
        report.obstacles.append(f'{path} has no annotations or no categories')
    objects = [a for split in data.splits.values() for a in split.content['annotations']]
    outlined = sum(bool(a.get('segmentation')) for a in objects)
    data.has_masks = bool(objects) and outlined == len(objects)
    crowds = sum(bool(a.get('iscrowd')) for a in objects)
    report.facts.append(
        ('objects', f'{len(objects)}, {outlined} with outlines, {crowds} crowd regions')
    )
    if other is None:
        _propose_split(data, report)
    if not all(split.kept for split in data.splits.values()):
        report.obstacles.append('there is no image left for training or for validation')
    return data, report


def _read(path: Path) -> dict[str, Any]:
    """Read an annotation file of a stranger."""
    if not path.is_file():
        raise FileNotFoundError(f'there is no file {path}')
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f'{path} is not JSON: {error}; export it again') from error
    parts: list[Any] = []
    if isinstance(content, dict):
        parts = [content.get(part) for part in PARTS]
    if not parts or not all(isinstance(part, list) for part in parts):
        raise DataError(f'{path} is no COCO file: it has no lists {", ".join(PARTS)}')
    needed = (('id', 'file_name', 'width', 'height'), ('image_id', 'category_id'), ('id', 'name'))
    for part, entries, keys in zip(PARTS, parts, needed, strict=True):
        for i, entry in enumerate(entries):
            lacking = [k for k in keys if not isinstance(entry, dict) or k not in entry]
            if lacking:
                raise DataError(f'{path}: {part} {i} has no {", ".join(lacking)}')
    for i, image in enumerate(content['images']):
        if not all(isinstance(image[key], (int, float)) for key in ('width', 'height')):
            raise DataError(f'{path}: width and height of images {i} must be numbers')
    return content


def _other_split(path: Path) -> Path | None:
    """The annotation file of the validation images beside the one of the training images."""
    for name in ('val', 'valid', 'validation'):
        beside = path.with_name(path.name.replace('train', name))
        folder = path.parent.with_name(path.parent.name.replace('train', name))
        for other in (beside, folder / path.name, folder / beside.name):
            if other != path and other.is_file():
                return other
    return None


def _look_at_split(path: Path, split: str, data: CocoData, report: Report) -> CocoSplit:
    """Check the entries of a file and the images that they name."""
    content = _read(path)
    images = _find_images(path, content)
    where = f' of {split}' if split else ''
    missing: list[str] = []
    outside: list[str] = []
    broken: list[str] = []
    unequal: list[str] = []
    turned: list[str] = []
    kept, sizes = [], []
    for entry in tqdm(content['images'], unit='image', disable=len(content['images']) < 2):
        name = str(entry['file_name'])
        file = images / name
        if not is_inside(images, name):
            outside.append(name)
            continue
        if not file.is_file():
            missing.append(name)
            continue
        try:
            facts = look_at(file)
        except (ValueError, OSError) as error:
            broken.append(str(error))
            continue
        said = (entry['width'], entry['height'])
        if facts.turned and (facts.shown == facts.stored or said != facts.shown):
            turned.append(name)
        elif said != facts.shown:
            unequal.append(
                f'{name} (is {facts.shown[0]}x{facts.shown[1]}, said {said[0]}x{said[1]})'
            )
        else:
            kept.append(entry)
            sizes.append(facts.shown)
    for names, what in (
        (missing, f'images{where} are not in {images}'),
        (outside, f'images{where} are said to be outside of {images}'),
        (broken, f'images{where} cannot be read'),
        (unequal, f'images{where} have another size than {path.name} says'),
    ):
        report.add_problem(names, what)
    if turned:
        report.problems.append(
            several(len(turned), f'images{where} that EXIF data turn away from their boxes', turned)
            + '; boxes follow the stored orientation: take the mark out of the images (exiftool '
            '-Orientation= -overwrite_original FILE)'
        )
    _report_annotations(content, kept, where, report)
    report.facts.append((f'images{where}', f'{len(kept)} in {images}'))
    if sizes:
        report.facts.append((f'sizes{where}', describe_sizes(sizes)))
    data.sizes = sizes
    found = CocoSplit(path, images, content, kept, False)
    usable = [annotation for annotation in _usable(found) if 'area' in annotation]
    found.whole = len(usable) == len(content['annotations']) and len(kept) == len(content['images'])
    return found


def _find_images(path: Path, content: Mapping[str, Any]) -> Path:
    """The folder near an annotation file that most of its images are in."""
    names = [str(entry['file_name']) for entry in content['images'][:50]]
    if not names:
        raise DataError(f'{path} names no image')
    near = [path.parent, path.parent.parent]
    below = [d for folder in near for d in sorted(folder.iterdir()) if d.is_dir()]
    candidates = [*near, *below, *(d for b in below for d in sorted(b.iterdir()) if d.is_dir())]
    counts = {
        folder: sum(is_inside(folder, n) and (folder / n).is_file() for n in names)
        for folder in dict.fromkeys(candidates)
    }
    best = max(counts, key=lambda folder: counts[folder])
    if not counts[best]:
        raise FileNotFoundError(
            f'none of the images of {path} is found: {names[0]} is looked for in the folders '
            f'beside it and in {path.parent.parent}'
        )
    return best


def _report_annotations(
    content: Mapping[str, Any], kept: list[dict[str, Any]], where: str, report: Report
) -> None:
    """Problems of annotations that no image has to be read for."""
    by_id = {entry['id']: entry for entry in content['images']}
    categories = {category['id'] for category in content['categories']}
    lost = sum(a['image_id'] not in by_id for a in content['annotations'])
    unknown = sum(a['category_id'] not in categories for a in content['annotations'])
    flat = [a for a in content['annotations'] if not _has_area(a)]
    outside = [
        a
        for a in content['annotations']
        if a['image_id'] in by_id and _has_area(a) and not _is_in(a, by_id[a['image_id']])
    ]
    if lost:
        report.problems.append(f'{lost} annotations{where} are of images that are not listed')
    if unknown:
        report.problems.append(f'{unknown} annotations{where} are of categories that do not exist')
    if flat:
        report.problems.append(f'{len(flat)} boxes{where} have no width or height')
    if outside:
        report.problems.append(f'{len(outside)} boxes{where} are outside of their images')
    if len(by_id) < len(content['images']):
        report.obstacles.append(f'images{where} have the same id; number them anew')
    annotated = {a['image_id'] for a in content['annotations']}
    empty = [str(entry['file_name']) for entry in kept if entry['id'] not in annotated]
    if empty:
        report.notes.append(
            several(len(empty), f'images{where} have no object, which a training leaves out', empty)
        )


def _has_area(annotation: Mapping[str, Any]) -> bool:
    box = annotation.get('bbox')
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, (int, float)) for value in box)
        and box[2] > 0
        and box[3] > 0
    )


def _area(annotation: Mapping[str, Any]) -> float:
    return annotation['bbox'][2] * annotation['bbox'][3]


def _is_in(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> bool:
    """Whether a part of a box lies in its image."""
    left, top, width, height = annotation['bbox']
    return left < image['width'] and top < image['height'] and left + width > 0 < top + height


def _report_categories(data: CocoData, report: Report) -> None:
    content = data.splits['train'].content
    names = Counter(data.classes)
    numbers = [category['id'] for category in content['categories']]
    used = Counter(a['category_id'] for a in content['annotations'])
    total = sum(used.values())
    lines = [
        f'{category["name"]} {percent(used[category["id"]], total)}'
        for category in content['categories']
    ]
    report.facts.append(('classes', f'{len(lines)}: {", ".join(lines)}'))
    if len(set(numbers)) < len(numbers):
        twice = [str(number) for number, count in Counter(numbers).items() if count > 1]
        report.obstacles.append(
            f'categories have the same id: {", ".join(twice)}; number them anew'
        )
    repeated = [str(name) for name, count in names.items() if count > 1]
    if repeated:
        report.obstacles.append(f'categories have the same name: {", ".join(repeated)}')
    absent = [str(c['name']) for c in content['categories'] if not used[c['id']]]
    if absent:
        report.notes.append(several(len(absent), 'categories have no object', absent))
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))) if numbers else False:
        report.notes.append('category ids have gaps; classes are numbered in the order of the file')
    val = data.splits.get('val')
    if val is not None:
        others = tuple(category['name'] for category in val.content['categories'])
        if others != data.classes:
            report.obstacles.append(
                f'{val.path} has other categories than {data.splits["train"].path}, or in another '
                'order'
            )


def _propose_split(data: CocoData, report: Report) -> None:
    split = data.splits['train']
    names = sorted(str(entry['file_name']) for entry in split.kept)
    train, val = (set(part) for part in held_out(names))
    for name, part in (('train', train), ('val', val)):
        kept = [entry for entry in split.kept if entry['file_name'] in part]
        data.splits[name] = CocoSplit(split.path, split.images, split.content, kept, False)
    report.facts.append(
        ('split', f'proposed: {len(train)} for training, every fifth for validation')
    )
    report.notes.append(
        'the split is by name; images of one place or video must not be on both sides: write two '
        'files, NAME_train.json and NAME_val.json'
    )


def _usable(split: CocoSplit) -> list[dict[str, Any]]:
    """The annotations that a training can read."""
    kept = {entry['id']: entry for entry in split.kept}
    categories = {category['id'] for category in split.content['categories']}
    return [
        annotation
        for annotation in split.content['annotations']
        if annotation['image_id'] in kept
        and annotation['category_id'] in categories
        and _has_area(annotation)
        and _is_in(annotation, kept[annotation['image_id']])
    ]


def write_annotations(split: CocoSplit, path: Path) -> None:
    """Write an annotation file of the images that can be used.

    Args:
        split (CocoSplit): Images and annotations.
        path (Path): The new file.
    """
    annotations = [{'area': _area(entry), **entry} for entry in _usable(split)]
    content = {**split.content, 'images': split.kept, 'annotations': annotations}
    with atomic_write(path) as file:
        file.write(json.dumps(content).encode())
