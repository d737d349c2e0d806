"""Predicting images with a model of any of the three libraries, by its inferencer."""

import copy
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import TRANSFORMS, DefaultScope
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from mmfreq.inference.results import Classification, Detection, Prediction, Segmentation
from mmfreq.inference.sources import Source, find_sources, read_source
from mmfreq.utils.config_tree import as_list, type_name
from mmfreq.utils.errors import ConfigError, DataError

__all__ = ['Failure', 'Predictor', 'predict', 'predict_each']

Image = NDArray[np.uint8]


class Failure(NamedTuple):
    """An image that could not be predicted.

    Attributes:
        source (Source): The image.
        error (Exception): Why.
    """

    source: Source
    error: Exception


def predict(model: Any, images: Any, batch_size: int = 1) -> list[Any]:
    """Predict images.

    Args:
        model (nn.Module): From :func:`mmfreq.init_model`, or an ONNX file opened with
            :class:`mmfreq.inference.onnx_file.OnnxModel`.
        images (Any): One or several paths, folders, patterns, RGB arrays of shape ``(H, W, 3)`` and
            uint8, or PIL images; see :func:`mmfreq.inference.sources.find_sources`.
        batch_size (int): Images that are predicted at once, where their sizes allow it. Defaults
            to 1.

    Returns:
        list[Segmentation | Detection | Classification]: One for each image, in their order.

    Raises:
        FileNotFoundError: If a path leads to no image.
        ValueError: If an image cannot be read or predicted; it is named. For many files of which
            some may be broken use :func:`predict_each`.
    """
    predictions: list[Any] = []
    for result in predict_each(model, find_sources(images), batch_size):
        if isinstance(result, Failure):
            raise result.error
        predictions.append(result)
    return predictions


def predict_each(
    model: Any, sources: Sequence[Source], batch_size: int = 1
) -> Iterator[Prediction | Failure]:
    """Predict images one after the other, with a progress bar where there are several.

    Args:
        model (nn.Module): As in :func:`predict`.
        sources (Sequence[Source]): From :func:`mmfreq.inference.sources.find_sources`.
        batch_size (int): As in :func:`predict`. Defaults to 1.

    Yields:
        Prediction | Failure: One for each image, in their order.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}')
    predictor = model if callable(getattr(model, 'predict_images', None)) else Predictor(model)
    with tqdm(total=len(sources), unit='image', disable=len(sources) < 2) as progress:
        for start in range(0, len(sources), batch_size):
            batch = sources[start : start + batch_size]
            yield from _predict_batch(predictor, batch)
            progress.update(len(batch))


def _predict_batch(predictor: Any, batch: Sequence[Source]) -> Iterator[Prediction | Failure]:
    images: list[Image | Exception] = []
    for source in batch:
        try:
            images.append(predictor.read(source.image))
        except DataError as error:
            images.append(error)
    whole = [image for image in images if isinstance(image, np.ndarray)]
    try:
        results = iter(predictor.predict_images(whole) if whole else [])
    except (ValueError, RuntimeError, AssertionError, cv2.error) as error:
        # One may be too large for the memory, or they differ in size: each on its own.
        if len(batch) > 1:
            for source in batch:
                yield from _predict_batch(predictor, [source])
            return
        named = DataError(
            f'{batch[0].image if isinstance(batch[0].image, str) else "image"}: {error}'
        )
        named.__cause__ = error
        yield Failure(batch[0], named)
        return
    for source, image in zip(batch, images, strict=True):
        if isinstance(image, Exception):
            yield Failure(source, image)
            continue
        prediction: Prediction = next(results)
        prediction.name = source.name
        prediction.path = source.image if isinstance(source.image, str) else ''
        yield prediction


class Predictor:
    """A model with its library's inferencer.

    Args:
        model (nn.Module): From :func:`mmfreq.init_model`.

    Raises:
        ConfigError: If the config has no test pipeline that reads images.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.meta: dict[str, Any] = model.dataset_meta  # type: ignore[assignment]
        self.device = next(model.parameters()).device
        cfg: Any = copy.deepcopy(model.cfg)
        pipeline = _test_pipeline(cfg)
        self.scope = cfg.get('default_scope', 'mmengine')
        self.channels = _channels(model)
        with DefaultScope.overwrite_default_scope(self.scope):
            loaders = [step for step in pipeline if type_name(step).startswith('Load')]
            self._load: Any = TRANSFORMS.build(loaders[0]) if loaders else None
            self._infer = _inferencer(model, cfg, self.scope)

    def read(self, image: str | Image) -> Image:
        """Read an image as the test pipeline of the config does.

        Args:
            image (str | NDArray): Path, or a BGR image.

        Returns:
            NDArray: Image of shape ``(H, W, C)``, BGR if it has three channels.

        Raises:
            DataError: If it is not a whole image, or has another number of channels than the
                network takes; it is named.
        """
        return read_source(image, self.channels, self._load and self._load_file)

    def predict_images(self, images: Sequence[Image]) -> list[Prediction]:
        """Predict images.

        Args:
            images (Sequence[NDArray]): From :meth:`read`.

        Returns:
            list[Prediction]: One for each.

        Raises:
            DataError: If the result of one would not fit into the memory of this machine.
        """
        for image in images:
            self._check_memory(image)
        with torch.inference_mode(), self._autocast():
            samples = self._infer(list(images))
        return [self._result(image, s) for image, s in zip(images, samples, strict=True)]

    def _result(self, image: Image, sample: Any) -> Prediction:
        rgb = np.ascontiguousarray(
            image[..., 2::-1] if image.shape[2] >= 3 else image[..., [0] * 3]
        )
        common = ('', '', rgb, self.meta['classes'], self.meta['palette'])
        if 'pred_sem_seg' in sample:
            label_map = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.int64)
            return Segmentation(*common, label_map, self.meta['reduce_zero_label'])
        if 'pred_instances' in sample:
            found = sample.pred_instances.cpu().numpy()
            masks = found.masks.astype(bool) if 'masks' in found else None
            return Detection(*common, found.bboxes, found.labels, found.scores, masks)
        if 'pred_score' in sample:
            return Classification(*common, sample.pred_score.float().cpu().numpy())
        raise ConfigError(
            f'{type(self.model).__name__} gives {", ".join(sample.keys())}; label maps, boxes and '
            'classes can be shown'
        )

    def _load_file(self, path: str) -> Image | None:
        loaded = self._load(dict(img_path=path))
        return None if loaded is None else loaded['img']

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.device.type != 'cuda':
            return nullcontext()
        return torch.autocast('cuda', torch.float16)

    def _check_memory(self, image: Image) -> None:
        """Segmentors hold a number per class and pixel, twice; the system would end the process."""
        if self.device.type != 'cpu' or not hasattr(self.model, 'decode_head'):
            return
        classes, pixels = len(self.meta['classes']), image.shape[0] * image.shape[1]
        needed = 2 * 4 * max(classes, 1) * pixels
        available = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
        if needed > 0.8 * available:
            raise DataError(
                f'{image.shape[1]} x {image.shape[0]} pixels with {classes} classes need '
                f'{needed / 2**30:.0f} GiB of memory, and this machine has '
                f'{available / 2**30:.0f}; cut the image into pieces or make it smaller'
            )


def _channels(model: nn.Module) -> int:
    backbone = getattr(model, 'backbone', None)
    return int(getattr(backbone, 'in_channels', 3) or 3) if backbone is not None else 3


def _test_pipeline(cfg: Any) -> list[Any]:
    """The test pipeline, put where the inferencers look for it."""
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    data = loader.get('dataset') if loader else None
    while data and 'pipeline' not in data:  # inside of wrappers
        data = data.get('dataset') or next(iter(as_list(data.get('datasets'))), None)
    if not data or not data.pipeline:
        raise ConfigError(f'{cfg.filename} has no test_dataloader with a pipeline of images')
    cfg.test_dataloader = dict(dataset=data)
    return list(data.pipeline)


def _inferencer(model: nn.Module, cfg: Any, scope: str) -> Callable[[list[Image]], list[Any]]:
    """What makes data samples of images."""
    if scope == 'mmpretrain':
        from mmpretrain import ImageClassificationInferencer

        model._config = cfg
        classify = ImageClassificationInferencer(model)
        return lambda images: classify(images, batch_size=len(images), return_datasamples=True)
    if scope == 'mmdet':
        from mmdet.apis import DetInferencer as Inferencer
    elif scope == 'mmseg':
        from mmseg.apis import MMSegInferencer as Inferencer
    else:
        raise ConfigError(
            f'{cfg.filename} has default_scope {scope!r}; images can be predicted with models of '
            'mmseg, mmdet and mmpretrain'
        )

    class WithModel(Inferencer):
        """The library's inferencer around a model that is there."""

        def _init_model(self, *_: Any) -> nn.Module:
            return model

        def _init_collate(self, *_: Any) -> Callable[..., Any]:
            return pseudo_collate

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # about a folder for pictures, which are drawn here
        infer = WithModel(cfg, device=str(next(model.parameters()).device), show_progress=False)

    def run(images: list[Image]) -> list[Any]:
        found = infer(images, batch_size=len(images), return_datasamples=True)
        return as_list(found['predictions'] if scope == 'mmdet' else found)

    return run
