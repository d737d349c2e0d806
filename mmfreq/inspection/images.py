"""Images of a data set: which files there are, and what each of them is like."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from mmfreq.inference.sources import IMAGES, VIDEOS
from mmfreq.utils.images import check_image_size, check_whole

__all__ = [
    'Facts',
    'images_in',
    'is_listable',
    'look_at',
    'most_frequent_ending',
    'videos_in',
]

ORIENTATION = 274  # tag of EXIF
QUARTER_TURNS = (5, 6, 7, 8)


class Facts(NamedTuple):
    """What a training has to know of an image.

    Attributes:
        stored (tuple[int, int]): Width and height of the file.
        shown (tuple[int, int]): Width and height after the turn that EXIF data ask for, which is
            how OpenCV reads the image.
        turned (bool): Whether EXIF data ask for a turn, or a reflection.
    """

    stored: tuple[int, int]
    shown: tuple[int, int]
    turned: bool


def images_in(folder: Path) -> list[str]:
    """Images of a folder and the folders in it, but for hidden ones.

    Args:
        folder (Path): A folder.

    Returns:
        list[str]: Paths relative to the folder, sorted.
    """
    return _files(folder, IMAGES)


def videos_in(folder: Path) -> list[str]:
    """Videos of a folder and the folders in it, as :func:`images_in`."""
    return _files(folder, VIDEOS)


def _files(folder: Path, endings: Sequence[str]) -> list[str]:
    found: list[str] = []
    entered: set[str] = set()
    # Links are followed, as the libraries do, but not in circles.
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = [] if real in entered else [n for n in folders if not n.startswith('.')]
        names = [] if real in entered else names
        entered.add(real)
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in endings and not name.startswith('.') and path.is_file():
                found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def is_listable(name: str) -> bool:
    """Whether a name is the same when it is read from a line of a list."""
    return name == name.strip() and name.isprintable()


def most_frequent_ending(names: Sequence[str]) -> str:
    """The ending that most files have, with its dot and in the case of its letters."""
    counts = Counter(Path(name).suffix for name in names)
    return counts.most_common(1)[0][0] if counts else ''


def look_at(path: Path) -> Facts:
    """Read an image that may be anything.

    Args:
        path (Path): The file.

    Returns:
        Facts: Its size and orientation.

    Raises:
        ValueError: If it is no whole image, or has more pixels than is safe; it is named.
    """
    if path.stat().st_size == 0:
        raise ValueError(f'{path} is empty (0 bytes)')
    check_image_size(path)
    check_whole(path)
    try:
        with Image.open(path) as image:
            orientation = image.getexif().get(ORIENTATION, 1)
            stored = image.size
    except (OSError, SyntaxError) as error:
        raise ValueError(f'{path} cannot be read as an image: {error}') from error
    turned = orientation in range(2, 9)
    shown = (stored[1], stored[0]) if orientation in QUARTER_TURNS else stored
    return Facts(stored, shown, turned)
