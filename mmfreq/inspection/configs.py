"""Configs of at most fifteen lines that train on data that were inspected."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmfreq.inference.model import class_colours
from mmfreq.inspection.class_folders import ClassFolders
from mmfreq.inspection.coco import CocoData, write_annotations
from mmfreq.inspection.plan import (
    classifier_side,
    detector_scale,
    epochs_for,
    iterations_for,
    sizes_for,
)
from mmfreq.inspection.report import describe_sizes
from mmfreq.inspection.segmentation import SegmentationData
from mmfreq.utils.atomic import atomic_write
from mmfreq.utils.config_files import config_names, read_model_config
from mmfreq.utils.names import nearest

__all__ = [
    'base_config',
    'write_classification_config',
    'write_detection_config',
    'write_segmentation_config',
]

CLASSIFIER_EPOCHS = 100
STEPS_OF_EPOCH, SMALLEST_BATCH = 8, 16
SCALE_OF_CROP = 256 / 224  # shorter side of a test image, of which the centre is cut out
BESIDE = '{{ fileDirname }}'  # MMEngine puts the folder of the config there


def base_config(backbone: str, decoder: str | None, data: str) -> str:
    """Name of the config of this package that an own one inherits from.

    Args:
        backbone (str): Such as ``'gfnet-h-s'``.
        decoder (str, optional): Such as ``'upernet'``; None for classifiers.
        data (str): ``'ade20k'`` for segmentors, ``'coco'`` for detectors, ``'in1k'`` for
            classifiers.

    Returns:
        str: For example ``'upernet_gfnet_h_s_ade20k'``.

    Raises:
        ValueError: If there is none; the message has the nearest ones.
    """
    name = '_'.join([*filter(None, [decoder]), backbone.replace('-', '_'), data])
    known = [config for config in config_names() if config.endswith(f'_{data}')]
    if name not in known:
        raise ValueError(
            f'there is no config {name} for '
            f'{f"--decoder {decoder} " if decoder else ""}--backbone {backbone}'
            f'{nearest(name, known)}'
        )
    return name


def write_segmentation_config(data: SegmentationData, base: str, path: Path) -> list[Path]:
    """Write a config for a segmentor, and lists of images beside it where they are needed.

    Args:
        data (SegmentationData): What a training needs.
        base (str): From :func:`base_config`.
        path (Path): The config file.

    Returns:
        list[Path]: All files that were written, the config first.
    """
    recipe = read_model_config(base)
    train, val = data.splits['train'], data.splits['val']
    sizes = sizes_for(data.sizes)
    iterations = iterations_for(
        len(train.names), recipe.train_dataloader.batch_size, recipe.max_iters
    )
    lists, loaders = {}, {}
    for split, pairs in data.splits.items():
        folders = dict(
            img_path=_below(data.root, pairs.images), seg_map_path=_below(data.root, pairs.masks)
        )
        listed = ''
        if split in data.listed:
            lists[f'{path.stem}_{split}.txt'] = pairs.names
            listed = f'ann_file={f"{BESIDE}/{path.stem}_{split}.txt"!r}, '
        loaders[split] = f'dict(dataset=dict({listed}data_prefix={_call(folders)}, **data))'
    lines = [
        _comment(len(train.names), len(val.names), data.sizes),
        f"_base_ = 'mmfreq::{base}.py'",
        f'classes = {data.classes!r}',
        f'palette = {[list(colour) for colour in data.palette]!r}',
        'num_classes = len(classes)',
        f'data_root = {data.root.as_posix()!r}',
        f'crop_size = {sizes.crop!r}',
        f'scale = {sizes.scale!r}',
        f'max_iters = {iterations}',
        "data = dict(type='mmfreq.BaseSegDataset', metainfo=dict(classes=classes, palette=palette),"
        f' img_suffix={data.image_ending!r}, seg_map_suffix={data.mask_ending!r},'
        f' reduce_zero_label={data.zero_is_no_class})',
        f'train_dataloader = {loaders["train"]}',
        f'val_dataloader = {loaders["val"]}',
        f'test_dataloader = {loaders.get("test", "val_dataloader")}',
    ]
    return _write(path, lines, lists)


def write_detection_config(data: CocoData, base: str, path: Path) -> list[Path]:
    """Write a config for a detector, and annotation files beside it where they are needed.

    Args:
        data (CocoData): What a training needs.
        base (str): From :func:`base_config`.
        path (Path): The config file.

    Returns:
        list[Path]: All files that were written, the config first.
    """
    recipe = read_model_config(base)
    train, val = data.splits['train'], data.splits['val']
    root = Path(os.path.commonpath([train.images, train.path.parent]))
    batch_size = recipe.train_dataloader.batch_size
    epochs = epochs_for(len(train.kept), batch_size, recipe.max_epochs)
    steps = max(epochs * len(train.kept) // batch_size // 10, 1)
    files, loaders = {}, {}
    for name, split in data.splits.items():
        files[name] = _below(root, split.path)
        if not split.whole:
            files[name] = f'{BESIDE}/{path.stem}_{name}.json'
        prefix = _call(dict(img=_below(root, split.images)))
        loaders[name] = (
            f'dict(dataset=dict(ann_file={files[name]!r}, data_prefix={prefix}, **data))'
        )
    evaluated = files['val'] if val.whole is False else (root / files['val']).as_posix()
    colours = [list(colour) for colour in class_colours(None, len(data.classes))]
    lines = [
        _comment(len(train.kept), len(val.kept), data.sizes),
        f"_base_ = 'mmfreq::{base}.py'",
        f'classes = {data.classes!r}',
        'num_classes = len(classes)',
        f'data_root = {root.as_posix()!r}',
        f'scale = {detector_scale(data.sizes, recipe.scale)!r}',
        f'max_epochs = {epochs}',
        f'warmup = {min(recipe.warmup, steps)}',
        f'data = dict(metainfo=dict(classes=classes, palette={colours!r}))',
        f'train_dataloader = {loaders["train"]}',
        f'val_dataloader = {loaders["val"]}',
        'test_dataloader = val_dataloader',
        f'val_evaluator = dict(ann_file={evaluated!r})',
        'test_evaluator = val_evaluator',
    ]
    written = _write(path, lines)
    for name, split in data.splits.items():
        if not split.whole:
            written.append(path.with_name(f'{path.stem}_{name}.json'))
            write_annotations(split, written[-1])
    return written


def write_classification_config(data: ClassFolders, base: str, path: Path) -> list[Path]:
    """Write a config for a classifier, and lists of images beside it where they are needed.

    Args:
        data (ClassFolders): What a training needs.
        base (str): From :func:`base_config`.
        path (Path): The config file.

    Returns:
        list[Path]: All files that were written, the config first.
    """
    recipe = read_model_config(base)
    images = len(data.splits['train'])
    side = classifier_side(data.sizes, recipe.crop_size[0])
    scale = recipe.scale if side == recipe.crop_size[0] else round(side * SCALE_OF_CROP)
    batch_size = min(max(images // STEPS_OF_EPOCH, SMALLEST_BATCH), recipe.batch_size)
    root = Path(os.path.commonpath(list(data.folders.values()))).absolute()
    lists, loaders = {}, {}
    for split, names in data.splits.items():
        settings = dict(data_prefix=_below(root, data.folders[split].absolute()))
        if split in data.listed:
            labels = data.labels(split)
            lists[f'{path.stem}_{split}.txt'] = [
                f'{name} {label}' for name, label in zip(names, labels, strict=True)
            ]
            settings['ann_file'] = f'{BESIDE}/{path.stem}_{split}.txt'
        loaders[split] = f'dict(dataset={_call(settings)})'
    lines = [
        _comment(images, len(data.splits['val']), data.sizes),
        f"_base_ = 'mmfreq::{base}.py'",
        f'classes = {data.classes!r}',
        f'data_root = {root.as_posix()!r}',
        f'crop_size = {(side, side)!r}',
        f'scale = {scale!r}',
        f'batch_size = {batch_size}',
        f'max_epochs = {min(CLASSIFIER_EPOCHS, recipe.max_epochs)}',
        f'train_dataloader = {loaders["train"]}',
        f'val_dataloader = {loaders["val"]}',
        f'test_dataloader = {loaders.get("test", "val_dataloader")}',
    ]
    return _write(path, lines, lists)


def _comment(train: int, val: int, sizes: Sequence[tuple[int, int]]) -> str:
    return f'# {train} images for training, {val} for validation, {describe_sizes(sizes)}'


def _below(root: Path, path: Path) -> str:
    """A path relative to a folder; absolute if it is not in it."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.absolute().as_posix()


def _call(values: dict[str, Any]) -> str:
    return f'dict({", ".join(f"{key}={value!r}" for key, value in values.items())})'


def _write(
    path: Path, lines: Sequence[str], lists: Mapping[str, Sequence[str]] | None = None
) -> list[Path]:
    """Write a config and, beside it, lists by name of the file; what was written."""
    for line in lines:
        if '{{' in line.replace(BESIDE, ''):
            raise ValueError(
                'the name of a class, a folder or a file has two braces, {{, which MMEngine takes '
                f'for a variable; rename it: {line}'
            )
    files = {path: lines}
    files |= {path.with_name(name): entries for name, entries in (lists or {}).items()}
    for file_path, entries in files.items():
        with atomic_write(file_path) as file:
            file.write('\n'.join([*entries, '']).encode())
    return list(files)
