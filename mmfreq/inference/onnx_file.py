"""ONNX files that say what they are, and predictions with them without any network of PyTorch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmfreq.inference.results import Classification, Prediction, Segmentation
from mmfreq.inference.sources import read_source
from mmfreq.version import __version__

__all__ = ['OnnxModel', 'metadata_of']

KEY = 'mmfreq'
TASKS = {'Segmentor': 'segmentation', 'Classifier': 'classification'}
LICENCE = 'network: Apache-2.0; weights: see their source'
Image = NDArray[np.uint8]


def metadata_of(model: Any, kind: str, shape: tuple[int, int], command: str) -> dict[str, str]:
    """What an ONNX file holds beside its graph.

    Args:
        model (nn.Module): From :func:`mmfreq.init_model`, or a backbone.
        kind (str): Class of what is exported, such as ``'Segmentor'``.
        shape (tuple[int, int]): Image size ``(H, W)`` of the file.
        command (str): What wrote the file.

    Returns:
        dict[str, str]: Texts by name, ``mmfreq`` with all of it as JSON among them.
    """
    meta = getattr(model, 'dataset_meta', None) or {}
    preprocessor = getattr(model, 'data_preprocessor', None)
    facts: dict[str, Any] = dict(
        task=TASKS.get(kind, 'features' if kind == 'BackboneOnly' else 'raw outputs'),
        image_size=list(shape),
        licence=LICENCE,
        command=command,
        version=__version__,
    )
    for key, backbone_key in (('mean', 'image_mean'), ('std', 'image_std')):
        value = getattr(preprocessor, key, None)
        if value is not None:
            facts[key] = [round(float(number), 4) for number in value.flatten()]
        elif hasattr(model, backbone_key):
            facts[key] = list(getattr(model, backbone_key))
    swaps = ('_channel_conversion', 'to_rgb')  # of MMEngine, of MMPretrain
    is_rgb = preprocessor is None or any(getattr(preprocessor, name, False) for name in swaps)
    facts['channel_order'] = 'RGB' if is_rgb else 'as read'
    if meta:
        facts['classes'] = list(meta['classes'])
        facts['palette'] = [list(colour) for colour in meta['palette']]
        facts['reduce_zero_label'] = meta['reduce_zero_label']
    if kind == 'Classifier':
        facts['resize_edge'] = _resized_edge(model.cfg)
    texts = {f'{KEY}.{key}': json.dumps(value) for key, value in facts.items()}
    return {KEY: json.dumps(facts), **texts}


class OnnxModel:
    """An ONNX file of ``mmfreq export``, for :func:`mmfreq.predict`.

    A segmentor sees the whole image, resized to the size of the file; a classifier a centred crop,
    as the test pipeline of its config. There is no sliding window.

    Args:
        path (str | Path): The file. It is data: a graph of standard operators.

    Attributes:
        facts (dict[str, Any]): Task, classes, palette, mean, std, image size, ...

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If onnxruntime is missing; the message names the extra to install.
        ValueError: If the file is no ONNX file, or does not say what its outputs mean.
    """

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f'there is no file {path}')
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(
                f"{path} needs onnxruntime; install the extra: pip install 'mmfreq[onnx]'"
            ) from error
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=['CPUExecutionProvider']
            )
        except Exception as error:  # its own types, for whatever is wrong with a file
            raise ValueError(f'{path} is not a whole ONNX file: {error}') from error
        stored = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if stored is None:
            raise ValueError(
                f'{path} does not say what its outputs mean; write it with mmfreq export'
            )
        self.facts: dict[str, Any] = json.loads(stored)
        if self.facts['task'] not in TASKS.values() or 'classes' not in self.facts:
            raise ValueError(
                f'{path} holds {self.facts["task"]}; only segmentors and classifiers are '
                'predicted from ONNX files'
            )
        self._height, self._width = self.facts['image_size']
        self._common: dict[str, Any] = dict(
            classes=tuple(self.facts['classes']),
            palette=[tuple(colour) for colour in self.facts['palette']],
        )

    def read(self, image: str | Image) -> Image:
        """Read an image.

        Args:
            image (str | NDArray): Path, or a BGR image.

        Returns:
            NDArray: BGR image of shape ``(H, W, 3)``.

        Raises:
            DataError: If it is not a whole image with three channels.
        """
        return read_source(image, 3)

    def predict_images(self, images: Sequence[Image]) -> list[Prediction]:
        """Predict images, one after the other.

        Args:
            images (Sequence[NDArray]): From :meth:`read`.

        Returns:
            list[Prediction]: One for each.
        """
        return [self._predict(image) for image in images]

    def _predict(self, image: Image) -> Prediction:
        common: dict[str, Any] = dict(
            name='', path='', image=np.ascontiguousarray(image[..., [2, 1, 0]]), **self._common
        )
        outputs = self._session.run(['logits'], {'images': self._as_input(image)})[0][0]
        if self.facts['task'] == 'classification':
            odds = np.exp(outputs - outputs.max())
            return Classification(**common, scores=odds / odds.sum())
        size = (image.shape[1], image.shape[0])
        logits = np.ascontiguousarray(outputs.transpose(1, 2, 0))
        labels = cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR).argmax(-1)
        return Segmentation(
            **common, label_map=labels, reduce_zero_label=self.facts['reduce_zero_label']
        )

    def _as_input(self, image: Image) -> NDArray[np.float32]:
        edge = self.facts.get('resize_edge')
        if edge:
            scale = edge / min(image.shape[:2])
            height, width = (max(round(side * scale), 1) for side in image.shape[:2])
            image = _resize(image, height, width)
            top, left = (height - self._height) // 2, (width - self._width) // 2
            if top >= 0 and left >= 0:
                image = image[top : top + self._height, left : left + self._width]
        image = _resize(image, self._height, self._width)
        if self.facts['channel_order'] == 'RGB':
            image = image[..., ::-1]
        pixels = (image - np.asarray(self.facts['mean'])) / np.asarray(self.facts['std'])
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)


def _resize(image: Image, height: int, width: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def _resized_edge(cfg: Any) -> int | None:
    """Length that the test pipeline of a classifier resizes the short edge to."""
    pipeline = cfg.test_dataloader.dataset.pipeline if cfg.get('test_dataloader') else []
    edges = [step.get('scale') for step in pipeline if str(step.get('type')).endswith('ResizeEdge')]
    return int(edges[0]) if edges else None
