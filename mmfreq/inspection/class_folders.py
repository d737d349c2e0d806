"""Inspection of images in a folder for each class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmfreq.inspection.images import images_in, is_listable, look_at
from mmfreq.inspection.masks import read_mask
from mmfreq.inspection.pairs import EVERYTHING, IMAGE_FOLDERS, MASK_FOLDERS, SPLITS, child
from mmfreq.inspection.plan import held_out
from mmfreq.inspection.report import Report, describe_sizes, percent, several

__all__ = ['ClassFolders', 'find_class_folders', 'inspect_class_folders', 'samples_of']

# Endings that mmpretrain finds in folders; others are read if a list names them.
FOUND_BY_MMPRETRAIN = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')
WITHOUT_LOSS = ('.png', '.bmp', '.tif', '.tiff', '.gif')
MASK_VALUES = 64  # a photograph has more, even a grey one
SAMPLES = 10  # images that tell whether a folder holds masks
FEW = 10  # images of a class


@dataclass
class ClassFolders:
    """What a training on a folder for each class needs.

    Attributes:
        folders (dict[str, Path]): Folder of the classes' folders, of ``'train'``, ``'val'`` and
            maybe ``'test'``.
        splits (dict[str, list[str]]): Images that can be used, relative to that folder.
        listed (set[str]): Splits that are not what mmpretrain finds in their folder.
        classes (tuple[str, ...]): Names of the classes' folders, sorted.
        sizes (list[tuple[int, int]]): Width and height of the training images.
    """

    folders: dict[str, Path]
    splits: dict[str, list[str]] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    classes: tuple[str, ...] = ()
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def labels(self, split: str) -> list[int]:
        """Class of each image of a split."""
        number = {name: i for i, name in enumerate(self.classes)}
        return [number[_class_of(image)] for image in self.splits[split]]


def find_class_folders(folder: Path) -> dict[str, Path] | None:
    """Find folders of which each has a folder of images for each class.

    Args:
        folder (Path): Folder of a data set.

    Returns:
        dict[str, Path] | None: By ``'train'``, ``'val'`` and ``'test'``, or the folder itself by
        ``'all'`` if there is no split. None if it is something else, images and masks for example.
    """
    if not folder.is_dir() or _has_images_or_masks(folder) or _has_json(folder):
        return None
    splits = {name: child(folder, names) for name, names in SPLITS.items()}
    found = {name: part for name, part in splits.items() if part and _class_names(part)}
    if 'train' in found:
        return None if any(_has_images_or_masks(part) for part in found.values()) else found
    if any(splits.values()) or len(_class_names(folder)) < 2 or _are_pairs(folder):
        return None
    return {EVERYTHING: folder}


def inspect_class_folders(folders: Mapping[str, Path]) -> tuple[ClassFolders, Report]:
    """Look at all images of all classes.

    Args:
        folders (Mapping[str, Path]): From :func:`find_class_folders`.

    Returns:
        tuple[ClassFolders, Report]: What a training needs, and what was found.
    """
    data, report = ClassFolders(dict(folders)), Report()
    sizes: dict[str, dict[str, tuple[int, int]]] = {}
    for split, folder in folders.items():
        sizes[split] = _look_at_images(folder, split, data, report)
    first = next(iter(folders))
    data.classes = tuple(sorted({_class_of(image) for image in data.splits[first]}))
    _report_classes(data, first, report)
    if 'val' not in data.splits:
        _propose_split(data, first, report)
    else:
        report.facts.append(('split', 'as the folders say'))
        _report_copies(data, report)
    data.sizes = [sizes[first][image] for image in data.splits['train']]
    if data.sizes:
        report.facts.append(('sizes', describe_sizes(data.sizes)))
    if not all(data.splits.values()):
        report.obstacles.append('there is no image left for training or for validation')
    else:
        _report_balance(data, report)
    return data, report


def _has_images_or_masks(folder: Path) -> bool:
    """Whether a folder is laid out for segmentation."""
    return child(folder, MASK_FOLDERS) is not None and child(folder, IMAGE_FOLDERS) is not None


def _has_json(folder: Path) -> bool:
    """Whether there is a file that may be COCO's."""
    return any(True for pattern in ('*.json', 'annotations/*.json') for _ in folder.glob(pattern))


def _are_pairs(folder: Path) -> bool:
    """Whether one of two folders holds masks: images of a few values."""
    names = _class_names(folder)
    return len(names) == 2 and sum(_are_masks(folder / name) for name in names) == 1


def _are_masks(folder: Path) -> bool:
    files = [folder / name for name in images_in(folder)[:SAMPLES]]
    return all(_is_mask(file) for file in files)


def _is_mask(file: Path) -> bool:
    if file.suffix.lower() not in WITHOUT_LOSS:
        return False
    try:
        look_at(file)
        values, _, _ = read_mask(file)
    except (ValueError, OSError):
        return False
    return len(np.unique(values)) <= MASK_VALUES


def _class_names(folder: Path) -> list[str]:
    """Folders with images."""
    parts = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return [name for name in parts if name[0] != '.' and images_in(folder / name)]


def _class_of(image: str) -> str:
    return image.split('/')[0]


def _look_at_images(
    folder: Path, split: str, data: ClassFolders, report: Report
) -> dict[str, tuple[int, int]]:
    """Sizes of the images of a split that can be read."""
    where = '' if split == EVERYTHING else f' of {split}'
    classes = _class_names(folder)
    names = [f'{name}/{image}' for name in classes for image in images_in(folder / name)]
    sizes: dict[str, tuple[int, int]] = {}
    broken: list[str] = []
    strange = [repr(name) for name in names if not is_listable(name)]
    for name in tqdm(names, unit='image', disable=len(names) < 2):
        if not is_listable(name):
            continue
        try:
            sizes[name] = look_at(folder / name).shown
        except (ValueError, OSError) as error:
            broken.append(str(error))
    beside = [name for name in images_in(folder) if '/' not in name]
    others = sorted({path.name for path in folder.iterdir() if path.is_dir()} - set(classes))
    empty = [repr(name) for name in others if name[0] != '.']
    for found, what in (
        (broken, f'images{where} cannot be read'),
        (strange, f'images{where} have names that a list cannot hold'),
        (beside, f'images{where} are in the folder of no class'),
        (empty, f'folders{where} have no image'),
    ):
        report.add_problem(found, what)
    # mmpretrain takes every folder for a class, a hidden one, too, and goes round in circles.
    odd = any(path.is_symlink() or path.name[0] == '.' for path in folder.rglob('*'))
    unusual = [name for name in sizes if Path(name).suffix.lower() not in FOUND_BY_MMPRETRAIN]
    if broken or strange or empty or odd or unusual:
        data.listed.add(split)
    data.splits[split] = list(sizes)
    report.facts.append((f'images{where}', f'{len(sizes)} in {folder}'))
    return sizes


def _report_classes(data: ClassFolders, first: str, report: Report) -> None:
    counts = Counter(map(_class_of, data.splits[first]))
    shares = [f'{name} {percent(counts[name], counts.total())}' for name in data.classes]
    report.facts.append(('classes', f'{len(shares)}: {", ".join(shares)}'))
    if len(data.classes) < 2:
        report.obstacles.append('a classifier needs two classes at least')
    few = [f'{name} ({counts[name]})' for name in data.classes if counts[name] < FEW]
    if few:
        report.notes.append(several(len(few), f'classes have less than {FEW} images', few))
    for split, images in data.splits.items():
        others = {_class_of(image) for image in images}
        unknown = sorted(others - set(data.classes))
        report.add_problem(unknown, f'classes of {split} only')
        if unknown:
            data.splits[split] = [i for i in images if _class_of(i) not in unknown]
        lacking = [name for name in data.classes if name not in others]
        if lacking:
            report.notes.append(several(len(lacking), f'classes have no image in {split}', lacking))
        if unknown or lacking:  # mmpretrain would number the classes of this split by themselves
            data.listed.add(split)


def _propose_split(data: ClassFolders, first: str, report: Report) -> None:
    """Every fifth image of each class is held out."""
    train: list[str] = []
    val: list[str] = []
    for name in data.classes:
        kept, held = held_out([i for i in data.splits[first] if _class_of(i) == name])
        train += kept
        val += held
    folder = data.folders.pop(first)
    del data.splits[first]
    data.folders |= dict(train=folder, val=folder)
    data.splits |= dict(train=train, val=val)
    data.listed |= {'train', 'val'}
    data.listed.discard(EVERYTHING)
    report.facts.append(
        ('split', f'proposed: {len(train)} for training, every fifth of a class for validation')
    )
    report.notes.append(
        'the split is by name; images of one object, place or video must not be on both sides: '
        'make folders train/ and val/'
    )


def _report_copies(data: ClassFolders, report: Report) -> None:
    """Say which validation images a training has seen; files of other lengths are not read."""
    paths = [data.folders['train'] / image for image in data.splits['train']]
    digests: dict[int, set[bytes]] = {}  # by length of the file

    def is_copy(path: Path) -> bool:
        length = path.stat().st_size
        if length not in digests:
            digests[length] = {_digest(p) for p in paths if p.stat().st_size == length}
        return bool(digests[length]) and _digest(path) in digests[length]

    copies = [image for image in data.splits['val'] if is_copy(data.folders['val'] / image)]
    if copies:
        report.add_problem(copies, 'images of val are among those of train, too')
        data.splits['val'] = [image for image in data.splits['val'] if image not in set(copies)]
        data.listed.add('val')


def _digest(path: Path) -> bytes:
    return sha256(path.read_bytes()).digest()


def _report_balance(data: ClassFolders, report: Report) -> None:
    """What a classifier must be better than."""
    (name, count), *_ = Counter(map(_class_of, data.splits['val'])).most_common(1)
    share = percent(count, len(data.splits['val']))
    report.notes.append(f'whoever always says {name} is right about {share} of the images of val')


def samples_of(data: ClassFolders, names: Sequence[str], count: int) -> list[list[Path]]:
    """The first training images of classes.

    Args:
        data (ClassFolders): What was inspected.
        names (Sequence[str]): Classes.
        count (int): How many of each.

    Returns:
        list[list[Path]]: Files of each class.
    """
    return [
        [data.folders['train'] / i for i in data.splits['train'] if _class_of(i) == name][:count]
        for name in names
    ]
