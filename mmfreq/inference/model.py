"""A whole model from a config and a checkpoint, and what its classes are called."""

import colorsys
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.registry import DATASETS, DefaultScope, init_default_scope
from torch import nn

from mmfreq.models.pretrained import load_whole
from mmfreq.utils.checkpoint import find_weights, read_checkpoint
from mmfreq.utils.config_files import read_model_config
from mmfreq.utils.config_tree import as_list, find_data_sets
from mmfreq.utils.errors import CheckpointError
from mmfreq.zoo import build_model, model_settings

__all__ = ['init_model', 'load_model']

GOLDEN_RATIO = 0.618034


def init_model(
    config: str | Config, checkpoint: str | None = None, device: str | None = None
) -> nn.Module:
    """Build the model of a config and load a checkpoint of the whole model.

    Args:
        config (str | Config): A config by path or by name, such as
            ``'upernet_gfnet_h_s_ade20k'``, or one that was read. It is code and trusted.
        checkpoint (str, optional): File of a training or of ``publish_model.py``; not trusted.
            Defaults to None: random weights.
        device (str, optional): Such as ``'cpu'`` or ``'cuda:0'``. Defaults to None: a GPU if there
            is one.

    Returns:
        nn.Module: The model in evaluation mode. Its ``cfg`` is the config, its ``dataset_meta``
        has ``classes`` and ``palette``, as in OpenMMLab's libraries.

    Raises:
        FileNotFoundError: If there is no such config or file; the message has the nearest names.
        ValueError: If the checkpoint belongs to another model, or there is no such device.
    """
    cfg = read_model_config(config) if isinstance(config, str) else config
    device = device or ('cuda:0' if torch.cuda.is_available() else 'cpu')
    init_default_scope(cfg.get('default_scope', 'mmengine'))  # as the libraries' own functions do
    model = build_model(cfg)
    load_model(model, cfg, checkpoint)
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # whatever a driver says
        raise ValueError(f'there is no device {device!r}: {error}') from error


def load_model(model: Any, cfg: Config, checkpoint: str | None) -> None:
    """Load a checkpoint into a model, and say what its classes are called.

    Args:
        model (nn.Module): Model of the config; gets ``cfg`` and ``dataset_meta``.
        cfg (Config): Its config.
        checkpoint (str, optional): As in :func:`init_model`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the checkpoint belongs to another model.
    """
    stored: dict[str, Any] = {}
    if checkpoint is not None:
        content = read_checkpoint(checkpoint)
        name = str(cfg.filename or 'the config')
        load_whole(model, find_weights(content, checkpoint), checkpoint, name)
        meta = content.get('meta') if isinstance(content, dict) else None
        stored = (meta.get('dataset_meta') if isinstance(meta, dict) else None) or {}
    model.dataset_meta = _dataset_meta(cfg, stored, checkpoint)
    model.cfg = model._config = cfg  # the latter is MMPretrain's name


def _dataset_meta(cfg: Config, stored: dict[str, Any], checkpoint: str | None) -> dict[str, Any]:
    """Names and colours of classes: the checkpoint's, else those of the config's data set."""
    known = _meta_of_data(cfg)
    count = _num_classes(cfg)
    classes = stored.get('classes') or known.get('classes') or ()
    if stored.get('classes') and count not in (None, len(classes)):
        raise CheckpointError(
            f'{checkpoint} names {len(classes)} classes, and the model of the config has {count}; '
            'use the config that belongs to it'
        )
    if count not in (None, len(classes)):  # the data set of the config is another one
        classes = [f'class {i}' for i in range(count or 0)]
    same = [*classes] == [*(known.get('classes') or ())]
    palette = stored.get('palette') or (known.get('palette') if same else None)
    return dict(
        classes=tuple(str(name) for name in classes),
        palette=class_colours(palette, len(classes)),
        reduce_zero_label=bool(stored.get('reduce_zero_label', known.get('reduce_zero_label'))),
    )


def _meta_of_data(cfg: Config) -> dict[str, Any]:
    """What the class of the test set and the config say, without opening any data."""
    found = find_data_sets(cfg)
    chosen = [node for path, node in found.items() if path.startswith('test_')] or [*found.values()]
    if not chosen:
        return {}
    settings = chosen[0]
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        kind = settings.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    given = settings.get('metainfo') or {}
    if isinstance(given, str):
        given = load(given)
    meta = {**(getattr(kind, 'METAINFO', None) or {}), **given}
    reduces = settings.get('reduce_zero_label', _default(kind, 'reduce_zero_label'))
    return {**meta, 'reduce_zero_label': reduces}


def _default(kind: type | None, name: str) -> Any:
    """Default of an argument of a class, which may hand it on to those it derives from."""
    for base in kind.__mro__ if kind is not None else ():
        parameter = inspect.signature(base).parameters.get(name)
        if parameter is not None:
            return parameter.default
    return None


def _num_classes(cfg: Config) -> int | None:
    """Classes of the main head of a model; None if it does not say."""
    model = model_settings(cfg)
    heads = [model.get(key) for key in ('decode_head', 'head', 'bbox_head')]
    heads.append((model.get('roi_head') or {}).get('bbox_head'))
    for head in heads:
        for stage in as_list(head)[-1:]:
            if 'num_classes' in stage:
                return int(stage['num_classes'])
    return None


def class_colours(palette: Sequence[Any] | None, count: int) -> list[tuple[int, ...]]:
    """A colour for each class: the given ones, or else well-separated ones, always the same."""
    if palette is not None and not isinstance(palette, str) and len(palette) >= count:
        return [tuple(int(value) for value in colour) for colour in palette[:count]]
    colours = []
    for i in range(count):
        hue = i * GOLDEN_RATIO % 1  # neighbours differ, and none comes again
        red_green_blue = colorsys.hsv_to_rgb(hue, 0.5 + 0.25 * (i % 3), 0.95 - 0.2 * (i % 2))
        colours.append(tuple(round(255 * part) for part in red_green_blue))
    return colours
