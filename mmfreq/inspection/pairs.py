"""Images and masks that belong together: folders, splits and names."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmfreq.inspection.images import images_in, most_frequent_ending, videos_in

__all__ = [
    'EVERYTHING',
    'IMAGE_FOLDERS',
    'MASK_FOLDERS',
    'SPLITS',
    'Pairs',
    'child',
    'find_pairs',
    'find_split_folders',
]

SPLITS = {
    'train': ('train', 'training', 'trn'),
    'val': ('val', 'validation', 'valid', 'dev'),
    'test': ('test', 'testing'),
}
IMAGE_FOLDERS = ('images', 'image', 'imgs', 'img', 'img_dir', 'jpegimages', 'leftimg8bit')
MASK_FOLDERS = (
    *('masks', 'mask', 'annotations', 'annotation', 'ann', 'ann_dir', 'labels', 'label'),
    *('gt', 'gtfine', 'segmentationclass', 'segmentation'),
)
EVERYTHING = 'all'


@dataclass
class Pairs:
    """Images and masks of one split.

    Attributes:
        images (Path): Folder of the images.
        masks (Path): Folder of the masks.
        names (list[str]): Names of the pairs, relative to the folders and without endings.
        without_mask (list[str]): Images that have no mask.
        without_image (list[str]): Masks that have no image.
        other_endings (list[str]): Images with another ending than most.
    """

    images: Path
    masks: Path
    names: list[str]
    without_mask: list[str]
    without_image: list[str]
    other_endings: list[str]


def find_split_folders(folder: Path, masks: Path | None) -> dict[str, tuple[Path, Path]]:
    """Find the folders of images and masks.

    Args:
        folder (Path): Folder of a data set, or of its images if ``masks`` is given.
        masks (Path, optional): Folder of the masks.

    Returns:
        dict: Folders of images and of masks by ``'train'``, ``'val'`` and ``'test'``, or one pair
        by ``'all'`` if there is no split.

    Raises:
        FileNotFoundError: If a folder is missing; the message says what is looked for.
    """
    for path in (folder, masks):
        if path is not None and not path.is_dir():
            raise FileNotFoundError(f'there is no folder {path}')
    if masks is not None:
        return _splits_below(folder, masks)
    images, found = child(folder, IMAGE_FOLDERS), child(folder, MASK_FOLDERS)
    if images is not None and found is not None:
        return _splits_below(images, found)
    splits = {}
    for name, names in SPLITS.items():
        part = child(folder, names)
        if part is not None:
            images, found = child(part, IMAGE_FOLDERS), child(part, MASK_FOLDERS)
            if images is not None and found is not None:
                splits[name] = (images, found)
    if splits:
        return splits
    raise FileNotFoundError(_nothing_found(folder))


def _nothing_found(folder: Path) -> str:
    videos = videos_in(folder)
    if not images_in(folder):
        if videos:
            return (
                f'{folder} has no image, but videos; make images of them first: '
                f'ffmpeg -i {folder / videos[0]} -r 2 %05d.png'
            )
        return f'folder {folder} has no image'
    for path in sorted(folder.glob('*.json')) + sorted(folder.glob('*/*.json')):
        return f'{folder} has no masks; if {path} is a COCO file, inspect that in place of {folder}'
    return (
        f'no folders of images and masks are found in {folder}: images/ and masks/ (or '
        'annotations/, labels/), each with train/ and val/ if there is a split; or name the folder '
        'of the masks with --masks. For a classifier: a folder of images for each class, all of '
        'them in train/ and val/ if there is a split'
    )


def child(folder: Path, names: Sequence[str]) -> Path | None:
    """The folder in a folder that has one of the names, in upper or lower case."""
    found = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((found[name] for name in names if name in found), None)


def _splits_below(images: Path, masks: Path) -> dict[str, tuple[Path, Path]]:
    splits = {}
    for name, names in SPLITS.items():
        pair = child(images, names), child(masks, names)
        if pair[0] is not None and pair[1] is not None:
            splits[name] = (pair[0], pair[1])
    return splits or {EVERYTHING: (images, masks)}


def find_pairs(
    folders: Mapping[str, tuple[Path, Path]],
) -> tuple[dict[str, Pairs], str, str]:
    """Match images and masks by their names.

    A mask is called as its image, with any text behind it: ``a.jpg`` and ``a_mask.png``.

    Args:
        folders (Mapping): From :func:`find_split_folders`.

    Returns:
        tuple[dict[str, Pairs], str, str]: Pairs of each split, and the endings of images and of
        masks, which are the same in all splits.

    Raises:
        FileNotFoundError: If there is no image, or not a single mask fits one.
    """
    images = {name: images_in(pair[0]) for name, pair in folders.items()}
    masks = {name: images_in(pair[1]) for name, pair in folders.items()}
    ending = most_frequent_ending([image for names in images.values() for image in names])
    if not ending:
        raise FileNotFoundError(_nothing_found(next(iter(folders.values()))[0]))
    stems = {name: {i.removesuffix(ending) for i in images[name]} for name in folders}
    counts = Counter(
        rest for name in folders for rest in _rests(masks[name], stems[name]) if rest is not None
    )
    if not counts:
        first, second = next(iter(folders.values()))
        raise FileNotFoundError(
            f'no mask in {second} is called as an image in {first}; the mask of a{ending} is '
            'a.png, or a with the same text behind it for all, as in a_mask.png'
        )
    mask_ending = counts.most_common(1)[0][0]
    found = {}
    for name, (image_folder, mask_folder) in folders.items():
        usable = [image for image in images[name] if image.endswith(ending)]
        there = set(masks[name])
        names = [i.removesuffix(ending) for i in usable]
        pairs = [stem for stem in names if stem + mask_ending in there]
        used = {stem + mask_ending for stem in pairs}
        kept = set(pairs)
        found[name] = Pairs(
            image_folder,
            mask_folder,
            pairs,
            [stem + ending for stem in names if stem not in kept],
            sorted(there - used),
            [image for image in images[name] if not image.endswith(ending)],
        )
    return found, ending, mask_ending


def _rests(masks: Iterable[str], stems: set[str]) -> Iterable[str | None]:
    """What each mask is called behind the name of its image."""
    for mask in masks:
        cuts = (cut for cut in range(len(mask), 0, -1) if mask[:cut] in stems)
        cut = next(cuts, None)
        yield None if cut is None else mask[cut:]
