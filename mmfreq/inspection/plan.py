"""Sizes, splits and lengths of a training, from what the images are like."""

from collections.abc import Sequence
from math import ceil
from statistics import median
from typing import NamedTuple

__all__ = [
    'Sizes',
    'classifier_side',
    'detector_scale',
    'epochs_for',
    'held_out',
    'iterations_for',
    'sizes_for',
]

LARGEST_CROP = 512
LARGEST_SIDE = 1024  # of images of a segmentor; larger ones are resized
STRIDE = 32  # of the last feature map
EVERY = 5  # every fifth image is held out
EPOCHS = 100  # of a segmentor
ITERATIONS = 20_000  # that a detector takes at least, unless these are too many epochs


class Sizes(NamedTuple):
    """Image sizes of a training.

    Attributes:
        scale (tuple[int, int]): Longer and shorter side that images are resized to.
        crop (tuple[int, int]): Height and width of the crops.
    """

    scale: tuple[int, int]
    crop: tuple[int, int]


def sizes_for(sizes: Sequence[tuple[int, int]]) -> Sizes:
    """Choose sizes for a segmentor: images as they are, unless they are large, and square crops.

    Args:
        sizes (Sequence[tuple[int, int]]): Width and height of each image.

    Returns:
        Sizes: The crop is a multiple of 32, no longer than the shorter side if that is 32 at least.
    """
    longer = median(max(size) for size in sizes)
    shorter = median(min(size) for size in sizes)
    factor = min(1.0, LARGEST_SIDE / longer)
    scale = (round(longer * factor), round(shorter * factor))
    side = max(min(scale[1], LARGEST_CROP) // STRIDE * STRIDE, STRIDE)
    return Sizes(scale, (side, side))


def detector_scale(sizes: Sequence[tuple[int, int]], scale: tuple[int, int]) -> tuple[int, int]:
    """Choose the size of a detector's images: that of its recipe, but at most twice their own.

    Args:
        sizes (Sequence[tuple[int, int]]): Width and height of each image.
        scale (tuple[int, int]): Longer and shorter side of the recipe.

    Returns:
        tuple[int, int]: Longer and shorter side.
    """
    longer = median(max(size) for size in sizes)
    shorter = median(min(size) for size in sizes)
    return min(scale[0], round(2 * longer)), min(scale[1], round(2 * shorter))


def classifier_side(sizes: Sequence[tuple[int, int]], longest: int) -> int:
    """Choose the side of a classifier's crops: that of its recipe, or less for smaller images.

    Args:
        sizes (Sequence[tuple[int, int]]): Width and height of each image.
        longest (int): Side of the recipe.

    Returns:
        int: A multiple of 32 unless it is that of the recipe.
    """
    shorter = median(min(size) for size in sizes)
    return min(ceil(shorter / STRIDE) * STRIDE, longest)


def held_out(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Propose a split.

    Args:
        names (Sequence[str]): All images.

    Returns:
        tuple[list[str], list[str]]: Images for training, and every fifth one for validation.
    """
    last = EVERY - 1 if len(names) >= EVERY else len(names) - 1
    kept = [name for i, name in enumerate(names) if i % EVERY != last]
    return kept, [name for i, name in enumerate(names) if i % EVERY == last]


def iterations_for(images: int, batch_size: int, longest: int) -> int:
    """Length of a segmentor's training: 100 times all images, from 2000 iterations on.

    Args:
        images (int): Number of training images.
        batch_size (int): Images of an iteration.
        longest (int): Length of the recipe that is adapted.

    Returns:
        int: Iterations, a multiple of 100.
    """
    wanted = EPOCHS * images / batch_size
    return min(max(round(wanted / 100) * 100, 2000), longest)


def epochs_for(images: int, batch_size: int, shortest: int) -> int:
    """Length of a detector's training.

    Args:
        images (int): Number of training images.
        batch_size (int): Images of an iteration.
        shortest (int): Length of the recipe that is adapted.

    Returns:
        int: Epochs, more for fewer images, up to 100.
    """
    wanted = round(ITERATIONS * batch_size / 2 / images)
    return min(max(wanted, shortest), max(100, shortest))
