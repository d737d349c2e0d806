"""Values in masks: which ones occur, what they mean, and masks that a training can read."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmfreq.utils.atomic import atomic_write

__all__ = ['IGNORED', 'MaskValues', 'read_mask', 'write_mask']

IGNORED = 255  # what mmseg leaves out
INDEX_MODES = ('1', 'L', 'P', 'I;16', 'I;16B', 'I')  # one channel of whole numbers
MOST_VALUES = 1000  # of masks, before they are taken for something else


@dataclass
class MaskValues:
    """Values of all masks of a data set.

    Attributes:
        pixels (Counter): Number of pixels with each value; colours are ``R << 16 | G << 8 | B``.
        coloured (list[str]): Masks with several channels.
        wide (list[str]): Masks with values above 255.
        palette (dict): Colour of each value, of masks that carry a palette.
    """

    pixels: Counter[int] = field(default_factory=Counter)
    coloured: list[str] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)
    palette: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def add(self, name: str, values: NDArray[Any], mode: str) -> None:
        """Count the values of a mask.

        Args:
            name (str): Of the file.
            values (NDArray): As :func:`read_mask` returns them.
            mode (str): Pillow's mode of the file.
        """
        found, counts = np.unique(values, return_counts=True)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            if value in self.pixels or len(self.pixels) < MOST_VALUES:
                self.pixels[value] += count
        if mode not in INDEX_MODES:
            self.coloured.append(name)
        elif found[-1] > IGNORED:
            self.wide.append(name)

    @property
    def kind(self) -> str:
        """``'colours'``, ``'wide'`` (above 255), ``'0 and 255'`` or ``'ids'``."""
        if self.coloured:
            return 'colours'
        if self.wide:
            return 'wide'
        return '0 and 255' if set(self.pixels) == {0, IGNORED} else 'ids'

    def new_ids(self) -> dict[int, int]:
        """Class id of each value, in masks that are written anew.

        Returns:
            dict[int, int]: From 0 on, in the order of the values; 255 stays what does not count,
            unless there is nothing else beside 0. Colours of grey are taken as the value that they
            show.
        """
        values = sorted(self.pixels)
        if self.kind == 'colours' and all(value % 0x010101 == 0 for value in values):
            shown = [value // 0x010101 for value in values]
            if shown != [0, IGNORED]:
                return dict(zip(values, shown, strict=True))
        elif self.kind == 'wide' and IGNORED in values:
            values.remove(IGNORED)
            return {**{value: i for i, value in enumerate(values)}, IGNORED: IGNORED}
        return {value: i for i, value in enumerate(values)}


def read_mask(path: Path) -> tuple[NDArray[Any], str, dict[int, tuple[int, ...]]]:
    """Read a mask as it is stored.

    Args:
        path (Path): The file, an image that was looked at.

    Returns:
        tuple: Values of shape ``(H, W)``, those of several channels as ``R << 16 | G << 8 | B``;
        Pillow's mode; colours by value, if the file has a palette.

    Raises:
        ValueError: If it cannot be read, or holds no whole numbers; it is named.
    """
    try:
        with Image.open(path) as image:
            mode, palette = image.mode, image.getpalette() if image.mode == 'P' else None
            if mode == 'F':
                raise ValueError(f'mask {path} holds fractions; write class ids into it')
            array = np.asarray(image if mode in INDEX_MODES else image.convert('RGB'))
    except (OSError, SyntaxError) as error:
        raise ValueError(f'mask {path} cannot be read: {error}') from error
    values = array.astype(np.int64)
    if mode not in INDEX_MODES:
        values = values @ np.array([1 << 16, 1 << 8, 1])
    colours = {}
    if palette is not None:
        colours = {i: tuple(palette[3 * i : 3 * i + 3]) for i in range(min(len(palette) // 3, 256))}
    return values, mode, colours


def write_mask(path: Path, values: NDArray[Any], ids: dict[int, int]) -> None:
    """Write a mask that mmseg reads: 8 bits, one channel, class ids.

    Args:
        path (Path): A .png file; folders are made.
        values (NDArray): From :func:`read_mask`.
        ids (dict[int, int]): Class id of each value; others become 255.
    """
    known = np.array(sorted(ids), np.int64)
    new = np.array([ids[value] for value in known.tolist()], np.uint8)
    places = np.searchsorted(known, values).clip(max=len(known) - 1)
    labels = np.where(known[places] == values, new[places], IGNORED).astype(np.uint8)
    with atomic_write(path) as file:
        Image.fromarray(labels).save(file, 'PNG')


def describe_values(values: MaskValues, names: Sequence[str] | None = None) -> Iterable[str]:
    """A line for each value that occurs: the value, its share of the pixels and its name."""
    whole = sum(values.pixels.values())
    for value, count in sorted(values.pixels.items()):
        shown = f'#{value:06x}' if values.kind == 'colours' else str(value)
        name = f' {names[value]}' if names and value < len(names) else ''
        yield f'{shown}{name} {100 * count / whole:.1f} %'
