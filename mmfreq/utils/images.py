"""Images from strangers."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from mmengine import fileio
from PIL import Image, UnidentifiedImageError

__all__ = ['beyond_eight_bits', 'check_image_size', 'check_whole', 'is_inside']

EIGHT_BITS = ('1', 'L', 'P', 'LA', 'PA', 'RGB', 'RGBA', 'CMYK')  # modes of Pillow


def check_image_size(path: str | Path) -> None:
    """Refuse an image that says it has more pixels than Pillow allows, before it is decoded.

    A file of a few kilobytes can hold billions of pixels. The limit is twice
    ``PIL.Image.MAX_IMAGE_PIXELS``, 179 million pixels, unless it is changed.

    Args:
        path (str | Path): Path of the image; files that Pillow cannot open pass.

    Raises:
        ValueError: If it has more pixels.
    """
    try:
        with Image.open(path):
            return
    except Image.DecompressionBombError as error:
        raise ValueError(f'{path} is refused: {error}') from error
    except (OSError, SyntaxError):  # damaged, or unknown to Pillow
        return


def check_whole(path: str | Path) -> None:
    """Refuse an image file that ends too early; OpenCV fills the rest of it with grey.

    Args:
        path (str | Path): Path of the image; files that Pillow does not know pass.

    Raises:
        ValueError: If a part of it is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except UnidentifiedImageError:
        return
    except (OSError, SyntaxError) as error:
        raise ValueError(f'{path} is damaged or not whole: {error}') from error


def beyond_eight_bits(path: str, backend_args: dict | None = None) -> int | None:
    """The highest value of a label map that does not fit into the 8 bits that mmseg reads.

    Args:
        path (str): Path of the file.
        backend_args (dict, optional): Where the file is, as in MMEngine. Defaults to None: a local
            one; others are not looked at.

    Returns:
        int | None: The value; None if all fit, or the file is not an image.
    """
    file: str | BytesIO = path
    if backend_args is not None:
        file = BytesIO(fileio.get(path, backend_args=backend_args))
    elif not os.path.isfile(path):
        return None
    try:
        with Image.open(file) as image:  # reads the head of the file only
            if image.mode in EIGHT_BITS:
                return None
            highest = int(np.asarray(image).max())
    except UnidentifiedImageError:  # arrays and volumes, which mmseg does not read as images
        return None
    return highest if highest > np.iinfo(np.uint8).max else None


def is_inside(folder: str | Path, name: str) -> bool:
    """Whether the name of an image, as an annotation file has it, stays in the folder of images.

    Args:
        folder (str | Path): The folder.
        name (str): Path relative to it, or absolute.

    Returns:
        bool: Whether it does; the folder itself does not count.
    """
    root = os.path.abspath(folder)
    path = os.path.abspath(os.path.join(root, name))
    return path != root and os.path.commonpath([root, path]) == root
