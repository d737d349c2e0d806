"""Images that a user names: files, folders, patterns and arrays."""

import glob
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray
from PIL import Image

from mmfreq.utils.errors import DataError
from mmfreq.utils.images import beyond_eight_bits, check_image_size, check_whole

__all__ = ['Source', 'find_sources', 'read_source']

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm', '.gif')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg')


class Source(NamedTuple):
    """An image to be predicted.

    Attributes:
        name (str): What files about it are called, without ending; no two are the same.
        image (str | NDArray): Path, or BGR image of shape ``(H, W, C)``, as OpenCV reads it.
    """

    name: str
    image: 'str | NDArray[np.uint8]'


def find_sources(images: Any) -> list[Source]:
    """Find all images that a user names.

    Args:
        images (Any): One image or a sequence of them: a path, a folder (with its sub-folders), a
            pattern such as ``'photos/*.jpg'``, a ``PIL.Image``, or an RGB array of shape
            ``(H, W, 3)``; arrays of networks for other channels have theirs.

    Returns:
        list[Source]: The images, those of a folder sorted by name.

    Raises:
        FileNotFoundError: If a path or a pattern leads to no image.
        ValueError: If something is not an image at all; the message says what to do.
    """
    is_single = isinstance(images, (str, Path, np.ndarray, Image.Image))
    found: list[tuple[str, Any]] = []
    for image in [images] if is_single else images:
        if isinstance(image, (str, Path)):
            found += _files(str(image))
        elif isinstance(image, Image.Image):
            found.append((f'image_{len(found)}', np.asarray(image.convert('RGB'))[..., ::-1]))
        elif isinstance(image, np.ndarray):
            found.append((f'image_{len(found)}', _as_bgr(image)))
        else:
            raise ValueError(f'an image is a path, an array or a PIL image, got {type(image)}')
    if not found:
        raise ValueError('no image is named')
    return [
        Source(*pair) for pair in zip(_unique(found), (image for _, image in found), strict=True)
    ]


def read_source(
    image: 'str | NDArray[np.uint8]', channels: int, load: Any = None
) -> 'NDArray[np.uint8]':
    """Read an image as a training reads it.

    Files with other than 8 bits per channel become 8 bits, as OpenCV does it, and a line in the log
    says so; images are turned as their EXIF data say.

    Args:
        image (str | NDArray): Path, or an image that is returned as it is.
        channels (int): How many channels it must have.
        load (Callable, optional): What reads a file in place of :func:`mmcv.imread`.

    Returns:
        NDArray: BGR image of shape ``(H, W, C)``.

    Raises:
        DataError: If the file is not a whole image, has more pixels than is safe, or the image has
            another number of channels; it is named.
    """
    pixels = image if isinstance(image, np.ndarray) else _read_file(image, load)
    found = 1 if pixels.ndim == 2 else pixels.shape[2]
    if found != channels:
        name = image if isinstance(image, str) else 'the image'
        raise DataError(f'{name} has {found} channels, and the network takes {channels}')
    return pixels


def _read_file(image: str, load: Any) -> 'NDArray[np.uint8]':
    """The image in a file, after looking whether it is a whole and harmless one."""
    if Path(image).stat().st_size == 0:
        raise DataError(f'{image} is empty (0 bytes)')
    try:
        check_image_size(image)
        check_whole(image)
    except ValueError as error:
        raise DataError(str(error)) from error
    try:
        pixels = (load or mmcv.imread)(image)
    except Exception as error:  # whatever a decoder does with a damaged file
        raise DataError(f'{image} cannot be read as an image: {error}') from error
    if pixels is None:
        raise DataError(f'{image} is not a whole image')
    highest = beyond_eight_bits(image)
    if highest is not None and pixels.dtype == np.uint8:
        print_log(
            f'{image} has values up to {highest}; they are divided by 256, as in a training',
            'current',
            logging.WARNING,
        )
    return pixels


def _files(name: str) -> list[tuple[str, str]]:
    """Names and paths of the images that a path or pattern leads to."""
    path = Path(name)
    if '://' in name:
        raise ValueError(f'{name} is an address; download the image first')
    if path.is_dir():
        files = [file for file in sorted(path.rglob('*')) if _is_image(file)]
        if not files:
            raise FileNotFoundError(f'folder {name} has no image ({", ".join(IMAGES)})')
        return [(str(file.relative_to(path).with_suffix('')), str(file)) for file in files]
    if path.is_file():
        if path.suffix.lower() in VIDEOS:
            raise ValueError(
                f'{name} is a video; make images of it first: ffmpeg -i {name} -r 2 %05d.png'
            )
        return [(path.stem, name)]
    matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
    files = [file for file in matches if _is_image(file)]
    if not files:
        raise FileNotFoundError(f'there is no image {name}')
    return [(file.stem, str(file)) for file in files]


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in IMAGES and not path.name.startswith('.')


def _as_bgr(image: 'NDArray[Any]') -> 'NDArray[np.uint8]':
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3:
        raise ValueError(f'an image has the shape (H, W, 3), got an array of {image.shape}')
    if image.dtype != np.uint8:
        raise ValueError(f'an image holds uint8 numbers from 0 to 255, got {image.dtype}')
    return image[..., ::-1] if image.shape[2] == 3 else image


def _unique(found: Sequence[tuple[str, Any]]) -> Iterable[str]:
    """The names, those that occur more than once with the folder or the ending of their files."""
    names = [name for name, _ in found]
    for i, (name, image) in enumerate(found):
        if names.count(name) == 1:
            yield name
        elif isinstance(image, str) and sum(other == image for _, other in found) == 1:
            yield str(Path(image)).lstrip('/').replace('..', '_').replace('.', '_')
        else:
            yield f'{name}_{i}'
