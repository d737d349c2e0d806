"""Pictures of predictions: colours over images, legends, sheets with headings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ['blend', 'draw_boxes', 'sheet', 'with_legend']

RGB = NDArray[np.uint8]
WHITE, BLACK, GREY = (255, 255, 255), (20, 20, 20), (110, 110, 110)
MOST_ROWS = 24  # of a legend


def blend(
    image: RGB, labels: NDArray[Any], palette: Sequence[Sequence[int]], opacity: float
) -> RGB:
    """Lay the colours of classes over an image.

    Args:
        image (NDArray): RGB image, shape ``(H, W, 3)``, uint8.
        labels (NDArray): Class of each pixel, shape ``(H, W)``; what is no class stays as it is.
        palette (Sequence): Colour of each class, RGB.
        opacity (float): From 0, the image, to 1, the colours.

    Returns:
        NDArray: RGB image of the same shape.
    """
    known = (labels >= 0) & (labels < len(palette))
    colours = np.asarray(palette, np.float32)[np.where(known, labels, 0)]
    mixed = (1 - opacity) * image + opacity * colours
    return np.where(known[..., None], mixed, image).round().astype(np.uint8)


def with_legend(picture: RGB, rows: Sequence[tuple[Sequence[int] | None, str]]) -> RGB:
    """Put a legend beside a picture.

    Args:
        picture (NDArray): RGB image.
        rows (Sequence): Colour, or None, and text of each row; at most 24 are drawn.

    Returns:
        NDArray: RGB image, as high as the picture or as its legend.
    """
    shown = list(rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        shown.append((None, f'and {len(rows) - MOST_ROWS} more'))
    if not shown:
        return picture
    height, width = picture.shape[:2]
    size = int(np.clip(height / 28, 11, 28))
    font = _font(size)
    line = round(1.6 * size)
    text_width = max(round(font.getlength(text)) for _, text in shown)
    sheet_size = (width + text_width + 4 * size, max(height, line * len(shown) + size))
    canvas = Image.new('RGB', sheet_size, WHITE)
    canvas.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for i, (colour, text) in enumerate(shown):
        left, top = width + size, size // 2 + i * line
        if colour is not None:
            box = (left, top, left + size, top + size)
            draw.rectangle(box, fill=tuple(colour), outline=GREY)
        draw.text((left + 1.6 * size, top + size / 2), text, BLACK, font, anchor='lm')
    return np.asarray(canvas)


def draw_boxes(
    image: RGB,
    boxes: NDArray[Any],
    texts: Sequence[str],
    colours: Sequence[Sequence[int]],
    masks: NDArray[Any] | None = None,
) -> RGB:
    """Draw boxes with a text at each, and masks.

    Args:
        image (NDArray): RGB image, shape ``(H, W, 3)``, uint8.
        boxes (NDArray): Left, top, right and bottom in pixels, shape ``(N, 4)``.
        texts (Sequence[str]): Of each box.
        colours (Sequence): Of each box, RGB.
        masks (NDArray, optional): Of each box, shape ``(N, H, W)``.

    Returns:
        NDArray: RGB image of the same shape.
    """
    picture = image
    if masks is not None:
        for mask, colour in zip(masks, colours, strict=True):
            picture = blend(picture, np.where(mask, 0, -1), [colour], 0.5)
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    size = int(np.clip(min(image.shape[:2]) / 32, 10, 24))
    font = _font(size)
    for box, text, colour in zip(boxes, texts, colours, strict=True):
        left, top, right, bottom = (float(value) for value in box)
        fill = tuple(int(value) for value in colour)
        draw.rectangle((left, top, right, bottom), outline=fill, width=max(size // 6, 2))
        wide = font.getlength(text) + size // 2
        left = float(np.clip(left, 0, max(image.shape[1] - wide, 0)))
        top = max(top - 1.3 * size, 0)  # above the box if there is room
        draw.rectangle((left, top, left + wide, top + 1.3 * size), fill=fill)
        ink = BLACK if sum(fill) > 380 else WHITE
        draw.text((left + size // 4, top + 0.65 * size), text, ink, font, anchor='lm')
    return np.asarray(canvas)


def sheet(rows: Sequence[Sequence[RGB]], headings: Sequence[str], width: int = 360) -> RGB:
    """Pictures in rows under headings.

    Args:
        rows (Sequence[Sequence[NDArray]]): RGB images, as many in each row as there are headings.
        headings (Sequence[str]): Of the columns.
        width (int): Of a column, in pixels. Defaults to 360.

    Returns:
        NDArray: RGB image.
    """
    gap, font = 12, _font(18)
    scaled = [
        [Image.fromarray(image).resize((width, _scaled(image, width))) for image in row]
        for row in rows
    ]
    heights = [max(image.height for image in row) for row in scaled]
    size = (gap + len(headings) * (width + gap), 36 + sum(heights) + gap * len(rows))
    canvas = Image.new('RGB', size, WHITE)
    draw = ImageDraw.Draw(canvas)
    for i, heading in enumerate(headings):
        draw.text((gap + i * (width + gap) + width / 2, 18), heading, BLACK, font, anchor='mm')
    top = 36
    for row, height in zip(scaled, heights, strict=True):
        for i, image in enumerate(row):
            canvas.paste(image, (gap + i * (width + gap), top))
        top += height + gap
    return np.asarray(canvas)


def _scaled(image: RGB, width: int) -> int:
    return max(round(image.shape[0] * width / image.shape[1]), 1)


def _font(size: int) -> Any:
    # Comes with matplotlib, and knows more alphabets than Pillow's own.
    return ImageFont.truetype(str(Path(get_data_path(), 'fonts/ttf/DejaVuSans.ttf')), size)
