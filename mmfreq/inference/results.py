"""What a model says about an image: label map, boxes and masks, or a class."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmfreq.inference.drawing import blend, draw_boxes, with_legend
from mmfreq.utils.atomic import atomic_write

__all__ = ['Classification', 'Detection', 'Prediction', 'Segmentation']


@dataclass
class Prediction:
    """A prediction for one image.

    Attributes:
        name (str): What files about the image are called, without ending.
        path (str): File of the image; ``''`` if it was an array.
        image (NDArray): The image, RGB, shape ``(H, W, 3)``, uint8.
        classes (tuple[str, ...]): Names of all classes.
        palette (list[tuple[int, ...]]): Their colours, RGB.
    """

    name: str
    path: str
    image: NDArray[np.uint8] = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    palette: list[tuple[int, ...]] = field(repr=False)

    def overlay(self) -> NDArray[np.uint8]:
        """Draw the prediction over the image.

        Returns:
            NDArray: RGB image of the size of the image.
        """
        raise NotImplementedError

    def draw(self) -> NDArray[np.uint8]:
        """Draw the prediction.

        Returns:
            NDArray: RGB image with a legend of the classes that occur.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain data, for JSON.

        Returns:
            dict: With the file of the image, its height and width, and what was found.
        """
        height, width = self.image.shape[:2]
        return dict(image=self.path or self.name, height=height, width=width)

    def save(self, folder: str | Path) -> list[Path]:
        """Write the picture, and the prediction as JSON.

        Args:
            folder (str | Path): Is made if it is missing.

        Returns:
            list[Path]: The files, ``NAME_overlay.jpg`` and ``NAME.json`` among them.
        """
        base = Path(folder) / self.name
        files = self._write(base)
        for ending in ('_overlay.jpg', '.json'):
            files.append(base.with_name(base.name + ending))
        with atomic_write(files[-2]) as file:
            Image.fromarray(self.draw()).save(file, 'JPEG', quality=92)
        with atomic_write(files[-1]) as file:
            file.write(f'{json.dumps(self.to_dict(), indent=1)}\n'.encode())
        return files

    def show(self) -> None:
        """Show the picture in a window, or in a notebook."""
        from matplotlib import pyplot

        picture = self.draw()
        figure = pyplot.figure(figsize=(picture.shape[1] / 100, picture.shape[0] / 100))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(picture)
        axes.axis('off')
        pyplot.show()

    def _write(self, base: Path) -> list[Path]:
        """Write further files of the kind."""
        return []


@dataclass
class Segmentation(Prediction):
    """Classes of all pixels.

    Attributes:
        label_map (NDArray): Index of the class of each pixel, shape ``(H, W)``, int64.
        reduce_zero_label (bool): Whether label maps of the data set number classes from 1, as those
            of ADE20K, where 0 is no class; files are written in this way, so that they can be read
            as ground truth.
    """

    label_map: NDArray[np.int64] = field(repr=False)
    reduce_zero_label: bool = False

    def shares(self) -> dict[str, float]:
        """Share of the pixels of each class that occurs, the largest first."""
        labels, counts = np.unique(self.label_map, return_counts=True)
        order = np.argsort(-counts, kind='stable')
        total = self.label_map.size
        return {self._name(int(labels[i])): float(counts[i] / total) for i in order}

    def overlay(self, opacity: float = 0.55) -> NDArray[np.uint8]:
        """Draw the colours of the classes over the image.

        Args:
            opacity (float): From 0, the image, to 1, the colours. Defaults to 0.55.

        Returns:
            NDArray: RGB image of the size of the image.
        """
        return blend(self.image, self.label_map, self.palette, opacity)

    def draw(self, opacity: float = 0.55) -> NDArray[np.uint8]:
        """Draw the colours of the classes over the image.

        Args:
            opacity (float): As in :meth:`overlay`. Defaults to 0.55.

        Returns:
            NDArray: RGB image with a legend of the classes that occur and their shares.
        """
        labels, counts = np.unique(self.label_map, return_counts=True)
        rows = [
            (
                self.palette[int(label)] if label < len(self.palette) else None,
                f'{self._name(int(label))}  {100 * count / self.label_map.size:.1f} %',
            )
            for count, label in sorted(zip(counts, labels, strict=True), key=lambda pair: -pair[0])
        ]
        return with_legend(self.overlay(opacity), rows)

    def to_dict(self) -> dict[str, Any]:
        """The shares of the classes as plain data."""
        shares = {name: round(share, 6) for name, share in self.shares().items()}
        return {**super().to_dict(), 'shares': shares}

    def _name(self, label: int) -> str:
        return self.classes[label] if label < len(self.classes) else f'class {label}'

    def _write(self, base: Path) -> list[Path]:
        """Write the label map as a PNG with a palette, ``NAME.png``."""
        shift = int(self.reduce_zero_label)
        labels = self.label_map + shift
        if len(self.classes) + shift > 256:
            picture = Image.fromarray(labels.astype(np.uint16))
        else:
            picture = Image.fromarray(labels.astype(np.uint8))
            colours = [(0, 0, 0)] * shift + self.palette
            picture.putpalette([value for colour in colours for value in colour])
        path = base.with_name(f'{base.name}.png')
        with atomic_write(path) as file:
            picture.save(file, 'PNG')
        return [path]


@dataclass
class Detection(Prediction):
    """Boxes, and masks if the model has them.

    Attributes:
        boxes (NDArray): Left, top, right and bottom in pixels, shape ``(N, 4)``.
        labels (NDArray): Index of the class of each box, shape ``(N,)``.
        scores (NDArray): From 0 to 1, falling, shape ``(N,)``.
        masks (NDArray, optional): Shape ``(N, H, W)``, bool.
        threshold (float): Boxes of lower scores are not drawn.
    """

    boxes: NDArray[np.float32] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    scores: NDArray[np.float32] = field(repr=False)
    masks: NDArray[np.bool_] | None = field(default=None, repr=False)
    threshold: float = 0.3

    def shown(self) -> NDArray[np.int64]:
        """Indices of the boxes whose scores are above the threshold, the best first."""
        return np.flatnonzero(self.scores >= self.threshold)

    def overlay(self) -> NDArray[np.uint8]:
        """Draw the boxes and masks whose scores are above the threshold.

        Returns:
            NDArray: RGB image of the size of the image.
        """
        shown = self.shown()[::-1]  # the best on top
        colours = [self.palette[self.labels[i]] for i in shown]
        texts = [f'{self.classes[self.labels[i]]} {self.scores[i]:.2f}' for i in shown]
        masks = None if self.masks is None else self.masks[shown]
        return draw_boxes(self.image, self.boxes[shown], texts, colours, masks)

    def draw(self) -> NDArray[np.uint8]:
        """Draw the boxes and masks whose scores are above the threshold.

        Returns:
            NDArray: RGB image with a legend of the classes that occur and how often.
        """
        labels, counts = np.unique(self.labels[self.shown()], return_counts=True)
        rows = [
            (self.palette[label], f'{self.classes[label]}: {count}')
            for count, label in sorted(zip(counts, labels, strict=True), key=lambda pair: -pair[0])
        ]
        rows = rows or [(None, f'nothing above {self.threshold}')]
        return with_legend(self.overlay(), rows)

    def to_dict(self) -> dict[str, Any]:
        """All boxes as plain data; masks as run lengths of COCO."""
        found = [
            dict(
                category=self.classes[label],
                category_id=int(label),
                score=round(float(score), 5),
                bbox=_as_coco(box),
            )
            for box, label, score in zip(self.boxes, self.labels, self.scores, strict=True)
        ]
        if self.masks is not None:
            for entry, mask in zip(found, self.masks, strict=True):
                entry['segmentation'] = _run_lengths(mask)
        return {**super().to_dict(), 'detections': found}


@dataclass
class Classification(Prediction):
    """Probabilities of the classes.

    Attributes:
        scores (NDArray): Of each class, shape ``(classes,)``.
    """

    scores: NDArray[np.float32] = field(repr=False)

    @property
    def label(self) -> int:
        """Index of the most probable class."""
        return int(self.scores.argmax())

    def best(self, count: int = 5) -> dict[str, float]:
        """The most probable classes and their scores, the best first.

        Args:
            count (int): How many. Defaults to 5.
        """
        order = np.argsort(-self.scores, kind='stable')[:count]
        return {self.classes[i]: float(self.scores[i]) for i in order}

    def overlay(self) -> NDArray[np.uint8]:
        """The image: classes have no place in it."""
        return self.image

    def draw(self) -> NDArray[np.uint8]:
        """Put the five most probable classes beside the image.

        Returns:
            NDArray: RGB image.
        """
        order = np.argsort(-self.scores, kind='stable')[:5]
        rows = [(self.palette[i], f'{self.classes[i]}  {self.scores[i]:.3f}') for i in order]
        return with_legend(self.image, rows)

    def to_dict(self) -> dict[str, Any]:
        """The five most probable classes as plain data."""
        scores = {name: round(score, 6) for name, score in self.best().items()}
        return {**super().to_dict(), 'class': self.classes[self.label], 'scores': scores}


def _as_coco(box: NDArray[Any]) -> list[float]:
    """Left, top, width and height, as in COCO's files."""
    left, top, right, bottom = (float(value) for value in box)
    return [round(value, 2) for value in (left, top, right - left, bottom - top)]


def _run_lengths(mask: NDArray[Any]) -> dict[str, Any]:
    from pycocotools import mask as coco_mask

    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(size=list(encoded['size']), counts=encoded['counts'].decode())
