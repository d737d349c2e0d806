"""Images of single objects, cut out of a data set in COCO's format: a data set for classifiers."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mmfreq.utils.errors import DataError

__all__ = ['crop_objects', 'frequent_categories']


def frequent_categories(
    annotation_files: Sequence[str | Path], number: int, min_side: int
) -> tuple[str, ...]:
    """The categories with most objects.

    Args:
        annotation_files (Sequence[str | Path]): In COCO's format. The first one's objects are
            counted, of the others each must have one of the category.
        number (int): How many categories.
        min_side (int): Objects with a shorter side, in pixels, do not count.

    Returns:
        tuple[str, ...]: Their names, in alphabetical order.

    Raises:
        DataError: If a file cannot be read, or there are fewer such categories.
    """
    counts, *others = [
        Counter(name for name in _categories_of(_read(file), min_side) if name is not None)
        for file in annotation_files
    ]
    common = [name for name, _ in counts.most_common() if all(name in other for other in others)]
    if len(common) < number:
        files = ' and '.join(map(str, annotation_files))
        raise DataError(f'{files} have objects of {len(common)} categories, not {number}')
    return tuple(sorted(common[:number]))


def crop_objects(
    annotation_file: str | Path,
    image_dir: str | Path,
    out_dir: str | Path,
    categories: Sequence[str],
    most: int,
    min_side: int = 32,
    margin: float = 0.15,
) -> dict[str, int]:
    """Write the objects of some categories as images, in a folder for each category.

    Args:
        annotation_file (str | Path): In COCO's format.
        image_dir (str | Path): Folder of its images.
        out_dir (str | Path): Folder to write to; must not exist.
        categories (Sequence[str]): Names of the categories.
        most (int): Images of each category at most, the first ones in the file.
        min_side (int): Objects with a shorter side, in pixels, are left out. Defaults to 32.
        margin (float): What is added at each side of a box, as a part of its sides. Defaults to
            0.15.

    Returns:
        dict[str, int]: Number of images of each category.

    Raises:
        DataError: If a file is missing or cannot be read.
        FileExistsError: If ``out_dir`` exists.
    """
    content, images = _read(annotation_file), Path(image_dir)
    files = {image['id']: image['file_name'] for image in content['images']}
    Path(out_dir).mkdir(parents=True)
    written = dict.fromkeys(categories, 0)
    names = _categories_of(content, min_side)
    for annotation, name in zip(content['annotations'], names, strict=True):
        if name not in written or written[name] >= most:
            continue
        picture = _cut(images, str(files.get(annotation['image_id'])), annotation['bbox'], margin)
        if picture is None:
            continue
        folder = Path(out_dir) / re.sub(r'[^\w-]+', '_', name)
        folder.mkdir(exist_ok=True)
        picture.save(folder / f'{written[name]:04d}.jpg', quality=95)
        written[name] += 1
    return written


def _read(path: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text())
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(content[key], list):
                raise TypeError(key)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f'{path} is not a file of annotations in COCO format: {error}') from error
    return content


def _categories_of(content: Mapping[str, Any], min_side: int) -> list[str | None]:
    """Category of each annotation; None for crowds and objects that are too small."""
    names = {category['id']: str(category['name']) for category in content['categories']}
    return [
        names.get(annotation['category_id'])
        if _shorter_side(annotation) >= min_side and not annotation.get('iscrowd')
        else None
        for annotation in content['annotations']
    ]


def _shorter_side(annotation: Mapping[str, Any]) -> float:
    box = annotation.get('bbox')
    return min(box[2:]) if isinstance(box, list) and len(box) == 4 else 0


def _cut(images: Path, file_name: str, box: Sequence[float], margin: float) -> Image.Image | None:
    path = images / file_name
    if not path.resolve().is_relative_to(images.resolve()):
        raise DataError(f'{file_name} lies outside of {images}')
    try:
        with Image.open(path) as image:
            left, top, width, height = box
            edges = (
                max(round(left - margin * width), 0),
                max(round(top - margin * height), 0),
                min(round(left + (1 + margin) * width), image.width),
                min(round(top + (1 + margin) * height), image.height),
            )
            if edges[0] >= edges[2] or edges[1] >= edges[3]:
                return None  # the box lies outside
            return image.convert('RGB').crop(edges)
    except (OSError, ValueError) as error:
        raise DataError(f'{path} cannot be read: {error}') from error
