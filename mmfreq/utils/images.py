"""Images from strangers."""

from pathlib import Path

from PIL import Image

__all__ = ['check_image_size']


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
