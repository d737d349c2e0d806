"""A small rendered data set in the layouts of ADE20K and COCO, for trying things out.

Every scene is a landscape under its own light: sky, mountains or sea, buildings, a meadow, a road,
trees, and in front of them persons, cars, boats, aeroplanes and balls. Colours of classes overlap
(grass and trees, sky and sea, road and buildings), so that a network has to look at shape and
place; there are few enough classes and scenes to be learned in minutes.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['Scene', 'best_constant_miou', 'render_mini_data', 'render_scene']

# Ids in the label maps of ADE20K, which count from 1.
ADE_IDS = dict(
    building=2,
    sky=3,
    tree=5,
    road=7,
    grass=10,
    person=13,
    mountain=17,
    car=21,
    sea=27,
    boat=77,
    airplane=91,
    ball=120,
)
COCO_IDS = dict(person=1, car=3, airplane=5, boat=9, ball=37)
# COCO numbers its 80 categories from 1 to 90, without these.
COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
SMALLEST_INSTANCE = 30  # pixels that must be visible
SPLITS = (('training', 'train2017'), ('validation', 'val2017'))

Points = Sequence[tuple[float, float]]
Color = Sequence[float] | NDArray


class Scene(NamedTuple):
    """A rendered scene.

    Attributes:
        image (NDArray): BGR image, uint8, shape ``(H, W, 3)``.
        labels (NDArray): ADE20K class ids, uint8, shape ``(H, W)``.
        instances (list[tuple[str, NDArray]]): Name and visible mask, bool ``(H, W)``, of each
            object that is a COCO category.
    """

    image: NDArray
    labels: NDArray
    instances: list[tuple[str, NDArray]]


def render_mini_data(
    out_dir: str | Path,
    num_train: int = 160,
    num_val: int = 40,
    size: tuple[int, int] = (192, 256),
    seed: int = 0,
) -> None:
    """Render the data set into ``out_dir/ADEChallengeData2016`` and ``out_dir/coco``.

    The same arguments give the same files. They appear under ``out_dir`` only when all are written.

    Args:
        out_dir (str | Path): Folder for both layouts; it must not hold them yet.
        num_train (int): Number of training images. Defaults to 160.
        num_val (int): Number of validation images. Defaults to 40.
        size (tuple[int, int]): Size ``(H, W)`` of the images. Defaults to (192, 256).
        seed (int): Seed of the scenes. Defaults to 0.

    Raises:
        FileExistsError: If one of the two folders exists.
        ValueError: If a number is not positive or the images are smaller than 64 x 64.
    """
    out_dir = Path(out_dir)
    if min(num_train, num_val) < 1 or min(size) < 64:
        raise ValueError(
            f'needs at least one image per split and 64 x 64 pixels, got num_train={num_train}, '
            f'num_val={num_val}, size={size}'
        )
    layouts = ('ADEChallengeData2016', 'coco')
    for name in layouts:
        if (out_dir / name).exists():
            raise FileExistsError(f'{out_dir / name} exists; remove it or choose another folder')
    out_dir.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix='.rendering-', dir=out_dir))
    try:
        first = 0
        for (ade_split, coco_split), count in zip(SPLITS, (num_train, num_val), strict=True):
            scenes = (render_scene(size, (seed, first + i)) for i in range(count))
            _write_split(work, ade_split, coco_split, scenes)
            first += count
        for name in layouts:
            (work / name).rename(out_dir / name)
    finally:
        shutil.rmtree(work)


def best_constant_miou(annotation_dir: str | Path) -> float:
    """Highest mIoU that predicting one class everywhere reaches.

    Args:
        annotation_dir (str | Path): Folder of label maps with ADE20K's ids.

    Returns:
        float: mIoU in percent over the classes that occur, as mmseg's ``IoUMetric`` computes it.

    Raises:
        FileNotFoundError: If the folder holds no label maps.
    """
    counts = np.zeros(256, dtype=np.int64)
    for path in sorted(Path(annotation_dir).glob('*.png')):
        labels = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        counts += np.bincount(labels.ravel(), minlength=256)
    counts[0] = 0  # no class
    if not counts.any():
        raise FileNotFoundError(f'no label maps in {annotation_dir}')
    return float(100 * counts.max() / counts.sum() / np.count_nonzero(counts))


def render_scene(size: tuple[int, int], seed: tuple[int, ...]) -> Scene:
    """Render one scene.

    Args:
        size (tuple[int, int]): Size ``(H, W)`` of the image.
        seed (tuple[int, ...]): Seed; the same one gives the same scene.

    Returns:
        Scene: Image, label map and instances.
    """
    painter = _Painter(size, np.random.default_rng(seed))
    painter.landscape()
    painter.objects()
    return painter.finish()


class _Painter:
    """Paints from back to front; what is painted later hides what is there."""

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.height, self.width = size
        self.rng = rng
        self.image = np.zeros((*size, 3))
        self.labels = np.zeros(size, dtype=np.uint8)
        self.owner = np.zeros(size, dtype=np.int32)  # number of the instance, 0 for none
        self.names: list[str] = []
        self.horizon = rng.uniform(0.35, 0.55) * self.height

    def landscape(self) -> None:
        rng, height, width = self.rng, self.height, self.width
        everything = [(0, 0), (width, 0), (width, height), (0, height)]
        below = [(0, self.horizon), (width, self.horizon), (width, height), (0, height)]
        sky = rng.choice([(220, 170, 110), (200, 190, 180), (150, 170, 220)])
        self._paint(everything, 'sky', sky, 8, fade=rng.uniform(-60, 60))
        if rng.random() < 0.6:
            peaks = np.linspace(-0.1, 1.1, 7) * width
            tops = self.horizon - rng.uniform(0.05, 0.3, 7) * height
            ridge = zip(peaks.tolist(), tops.tolist(), strict=True)
            outline = [*ridge, (width, self.horizon), (0, self.horizon)]
            self._paint(outline, 'mountain', rng.choice([(110, 110, 100), (90, 120, 100)]), 12)
        at_sea = rng.random() < 0.35
        if at_sea:
            self._paint(below, 'sea', rng.choice([(170, 120, 60), (140, 130, 90)]), 14)
            self.shore = self.horizon + rng.uniform(0.3, 0.5) * (height - self.horizon)
            for _ in range(rng.integers(1, 3)):
                y = rng.uniform(self.horizon + 8, self.shore)
                self._boat(rng.uniform(0.1, 0.9) * width, y)
        else:
            self.shore = self.horizon
        meadow = [(0, self.shore), (width, self.shore + rng.uniform(-6, 6)), *below[2:]]
        self._paint(meadow, 'grass', rng.choice([(60, 140, 90), (70, 120, 130)]), 16)
        if not at_sea:
            for _ in range(rng.integers(0, 4)):
                self._building()
        for _ in range(rng.integers(1, 4)):
            self._tree()
        self._road()

    def objects(self) -> None:
        rng, width, height = self.rng, self.width, self.height
        if rng.random() < 0.4:
            self._airplane(rng.uniform(0.1, 0.9) * width, rng.uniform(0.08, 0.25) * height)
        feet = np.sort(rng.uniform(self.shore + 0.15 * (height - self.shore), height, 5))
        for y in feet:  # from back to front
            x = rng.uniform(0.05, 0.95) * width
            draw = rng.choice(['person', 'car', 'ball'])
            if draw == 'person':
                self._person(x, y)
            elif draw == 'car':
                self._car(self._road_centre(y) + rng.uniform(-0.1, 0.1) * width, y)
            else:
                self._ball(x, y)

    def finish(self) -> Scene:
        rng = self.rng
        light = rng.uniform(0.65, 1.15) * rng.uniform(0.92, 1.08, 3)
        image = self.image * light + rng.normal(0, 5, self.image.shape)
        masks = [(name, self.owner == i) for i, name in enumerate(self.names, start=1)]
        visible = [(name, mask) for name, mask in masks if mask.sum() >= SMALLEST_INSTANCE]
        return Scene(image.clip(0, 255).astype(np.uint8), self.labels, visible)

    def _paint(
        self,
        outline: Points,
        name: str,
        color: Color,
        texture: float,
        instance: bool = False,
        fade: float = 0.0,
    ) -> None:
        """Fill a polygon; ``texture`` is the contrast of its grain, ``fade`` a gradient."""
        mask = np.zeros((self.height, self.width), dtype=np.uint8)
        cv2.fillPoly(mask, [np.round(np.array(outline)).astype(np.int32)], 1)
        inside = mask.astype(bool)
        grain = cv2.GaussianBlur(self.rng.normal(0, texture, self.labels.shape), (5, 5), 1.2)
        shade = grain + np.linspace(-0.5, 0.5, self.height)[:, None] * fade
        self.image[inside] = (np.asarray(color, dtype=float) + shade[..., None])[inside]
        self.labels[inside] = ADE_IDS[name]
        self.owner[inside] = len(self.names) if instance else 0

    def _color(self, low: float = 30, high: float = 230) -> NDArray:
        return self.rng.uniform(low, high, 3)

    def _scale(self, y: float) -> float:
        """Height in pixels of a person who stands at row ``y``."""
        nearness = (y - self.horizon) / (self.height - self.horizon)
        return self.height * (0.08 + 0.28 * nearness)

    def _road_centre(self, y: float) -> float:
        t = (y - self.shore) / max(self.height - self.shore, 1)
        return float((1 - t) * self.road[0] + t * self.road[1])

    def _road(self) -> None:
        self.road = (self.rng.uniform(0.2, 0.8, 2) * self.width).tolist()
        far, near = 0.03 * self.width, self.rng.uniform(0.18, 0.3) * self.width
        outline = [
            (self.road[0] - far, self.shore),
            (self.road[0] + far, self.shore),
            (self.road[1] + near, self.height),
            (self.road[1] - near, self.height),
        ]
        self._paint(outline, 'road', np.full(3, self.rng.uniform(80, 130)), 7)

    def _building(self) -> None:
        rng = self.rng
        left, wide = rng.uniform(0, 0.9) * self.width, rng.uniform(0.1, 0.25) * self.width
        bottom = self.horizon + rng.uniform(0, 0.1) * self.height
        top = bottom - rng.uniform(0.15, 0.4) * self.height
        color = self._color(70, 190)
        outline = [(left, top), (left + wide, top), (left + wide, bottom), (left, bottom)]
        self._paint(outline, 'building', color, 5)
        for x in np.arange(left + 4, left + wide - 6, 9).tolist():
            for y in np.arange(top + 4, bottom - 6, 10).tolist():
                window = [(x, y), (x + 4, y), (x + 4, y + 5), (x, y + 5)]
                self._paint(window, 'building', color * 0.5, 3)

    def _tree(self) -> None:
        rng = self.rng
        x = rng.uniform(0, 1) * self.width
        y = rng.uniform(self.shore, self.shore + 0.3 * (self.height - self.shore))
        tall = rng.uniform(1.2, 2.0) * self._scale(y)
        stem = [(x - 2, y), (x + 2, y), (x + 2, y - 0.5 * tall), (x - 2, y - 0.5 * tall)]
        self._paint(stem, 'tree', (50, 70, 90), 6)
        crown = _ellipse(x, y - 0.65 * tall, 0.28 * tall, 0.38 * tall)
        self._paint(crown, 'tree', rng.choice([(50, 110, 60), (60, 100, 110)]), 22)

    def _person(self, x: float, y: float) -> None:
        self.names.append('person')
        tall = self._scale(y)
        body = [
            (x - 0.12 * tall, y - 0.8 * tall),
            (x + 0.12 * tall, y - 0.8 * tall),
            (x + 0.09 * tall, y),
            (x - 0.09 * tall, y),
        ]
        self._paint(body, 'person', self._color(), 6, instance=True)
        head = _ellipse(x, y - 0.89 * tall, 0.09 * tall, 0.11 * tall)
        self._paint(head, 'person', (120, 150, 200), 4, instance=True)

    def _car(self, x: float, y: float) -> None:
        self.names.append('car')
        long, color = 1.5 * self._scale(y), self._color()
        body = [
            (x - 0.5 * long, y - 0.08 * long),
            (x - 0.5 * long, y - 0.25 * long),
            (x - 0.3 * long, y - 0.28 * long),
            (x - 0.18 * long, y - 0.43 * long),
            (x + 0.2 * long, y - 0.43 * long),
            (x + 0.35 * long, y - 0.27 * long),
            (x + 0.5 * long, y - 0.22 * long),
            (x + 0.5 * long, y - 0.08 * long),
        ]
        self._paint(body, 'car', color, 4, instance=True)
        for wheel in (-0.28, 0.28):
            outline = _ellipse(x + wheel * long, y - 0.08 * long, 0.09 * long, 0.09 * long)
            self._paint(outline, 'car', (30, 30, 30), 3, instance=True)

    def _boat(self, x: float, y: float) -> None:
        self.names.append('boat')
        long = self.rng.uniform(0.12, 0.25) * self.width
        hull = [
            (x - 0.5 * long, y - 0.15 * long),
            (x + 0.5 * long, y - 0.15 * long),
            (x + 0.35 * long, y),
            (x - 0.35 * long, y),
        ]
        sail = [(x, y - 0.9 * long), (x + 0.4 * long, y - 0.2 * long), (x, y - 0.2 * long)]
        self._paint(hull, 'boat', self._color(), 4, instance=True)
        self._paint(sail, 'boat', self._color(150, 240), 4, instance=True)

    def _airplane(self, x: float, y: float) -> None:
        self.names.append('airplane')
        long, color = self.rng.uniform(0.12, 0.22) * self.width, self._color(120, 240)
        for outline in (
            _ellipse(x, y, 0.5 * long, 0.07 * long),
            [(x - 0.1 * long, y), (x + 0.1 * long, y), (x - 0.15 * long, y + 0.3 * long)],
            [(x - 0.5 * long, y), (x - 0.35 * long, y), (x - 0.5 * long, y - 0.2 * long)],
        ):
            self._paint(outline, 'airplane', color, 3, instance=True)

    def _ball(self, x: float, y: float) -> None:
        self.names.append('ball')
        radius = 0.18 * self._scale(y)
        self._paint(
            _ellipse(x, y - radius, radius, radius), 'ball', self._color(), 5, instance=True
        )


def _ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return [(x + rx * np.cos(a), y + ry * np.sin(a)) for a in angles]


def _write_split(work: Path, ade_split: str, coco_split: str, scenes: Iterator[Scene]) -> None:
    """Write one split in both layouts."""
    ade = work / 'ADEChallengeData2016'
    folders = [ade / 'images' / ade_split, ade / 'annotations' / ade_split]
    folders += [work / 'coco' / coco_split, work / 'coco' / 'annotations']
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for number, scene in enumerate(scenes, start=1):
        height, width = scene.labels.shape
        name = f'{number:06d}'
        for path in (folders[0] / f'{name}.jpg', folders[2] / f'{name}.jpg'):
            cv2.imwrite(str(path), scene.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
        cv2.imwrite(str(folders[1] / f'{name}.png'), scene.labels)
        images.append(dict(id=number, file_name=f'{name}.jpg', height=height, width=width))
        for category, mask in scene.instances:
            annotation = _coco_annotation(mask)
            if annotation:
                ids = dict(id=len(annotations) + 1, image_id=number, category_id=COCO_IDS[category])
                annotations.append(ids | annotation)
    content = dict(images=images, annotations=annotations, categories=_coco_categories())
    (folders[3] / f'instances_{coco_split}.json').write_text(json.dumps(content))


def _coco_annotation(mask: NDArray) -> dict:
    """Polygons, box and area of a mask; empty if no polygon encloses a pixel."""
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    polygons = [contour.ravel().tolist() for contour in contours if len(contour) >= 3]
    if not polygons:
        return {}
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
    return dict(segmentation=polygons, bbox=box, area=int(mask.sum()), iscrowd=0)


def _coco_categories() -> list[dict]:
    """All 80 categories: readers number classes by the categories that a file lists."""
    from mmdet.datasets import CocoDataset

    ids = (i for i in range(1, 91) if i not in COCO_GAPS)
    names = CocoDataset.METAINFO['classes']
    return [dict(id=i, name=name) for i, name in zip(ids, names, strict=True)]
