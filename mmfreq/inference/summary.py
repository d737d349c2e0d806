"""What was found in many images, as one table or one COCO file."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmfreq.inference.results import Classification, Detection, Prediction, Segmentation
from mmfreq.utils.atomic import atomic_write

__all__ = ['Summary', 'open_summary']

UNUSED_IN_COCO = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # ids without a category


class Summary:
    """Collects predictions and writes them when all are there.

    Args:
        folder (Path): Folder of the files.

    Attributes:
        files (list[Path]): What was written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[Path] = []
        self._rows: list[dict[str, Any]] = []
        self._coco: dict[str, list[dict[str, Any]]] = {}

    def add(self, prediction: Prediction) -> None:
        """Add what was found in an image.

        Args:
            prediction (Prediction): The prediction.
        """
        name = prediction.path or prediction.name
        if isinstance(prediction, Segmentation):
            shares = {key: f'{share:.6f}' for key, share in prediction.shares().items()}
            self._rows.append(
                dict(image=name, **{key: shares.get(key, 0) for key in prediction.classes})
            )
        elif isinstance(prediction, Classification):
            best = prediction.classes[prediction.label]
            scores = zip(prediction.classes, prediction.scores, strict=True)
            row = {key: f'{score:.6f}' for key, score in scores}
            self._rows.append({'image': name, 'predicted': best, **row})
        elif isinstance(prediction, Detection):
            self._add_boxes(prediction, name)

    def write(self) -> None:
        """Write ``shares.csv``, ``classes.csv`` or ``detections.json``, whatever was added."""
        if self._rows:
            ending = 'classes.csv' if 'predicted' in self._rows[0] else 'shares.csv'
            text = io.StringIO()
            writer = csv.DictWriter(text, self._rows[0])
            writer.writeheader()
            writer.writerows(self._rows)
            self._write(ending, text.getvalue())
        if self._coco:
            self._write('detections.json', json.dumps(self._coco) + '\n')

    def _add_boxes(self, prediction: Detection, name: str) -> None:
        if not self._coco:
            pairs = zip(_category_ids(prediction.classes), prediction.classes, strict=True)
            categories = [dict(id=number, name=label) for number, label in pairs]
            self._coco = dict(images=[], annotations=[], categories=categories)
        images, annotations = self._coco['images'], self._coco['annotations']
        found = prediction.to_dict()
        image_id = len(images)
        images.append(
            dict(id=image_id, file_name=name, height=found['height'], width=found['width'])
        )
        for entry in found['detections']:
            entry = {key: value for key, value in entry.items() if key != 'category'}
            area = entry['bbox'][2] * entry['bbox'][3]
            numbers = dict(id=len(annotations), image_id=image_id, area=area, iscrowd=0)
            category = self._coco['categories'][entry['category_id']]['id']
            annotations.append({**numbers, **entry, 'category_id': category})

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        with atomic_write(path) as file:
            file.write(text.encode())
        self.files.append(path)


def _category_ids(classes: Sequence[str]) -> list[int]:
    """Ids of categories: those of COCO for its classes, else from 0 in their order."""
    if len(classes) == 80 and (classes[0], classes[-1]) == ('person', 'toothbrush'):
        return [number for number in range(1, 91) if number not in UNUSED_IN_COCO]
    return list(range(len(classes)))


def open_summary(folder: Path) -> Summary:
    """Make the folder of a summary before anything is predicted, so that a full disk shows early.

    Args:
        folder (Path): The folder.

    Returns:
        Summary: An empty one.

    Raises:
        ValueError: If there is a file of this name.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f'--out {folder} is a file; name a folder')
    folder.mkdir(parents=True, exist_ok=True)
    return Summary(folder)
