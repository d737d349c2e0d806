"""Whether heads and data agree about classes, before a run begins."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.fileio import load
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmfreq.engine.randomness import preserved_randomness
from mmfreq.registry import HOOKS
from mmfreq.utils.errors import ConfigError, DataError
from mmfreq.utils.images import beyond_eight_bits
from mmfreq.utils.named_errors import NamedPipeline, inner_data_sets
from mmfreq.utils.names import enumerate_names

__all__ = ['DataCheckHook', 'find_heads', 'unwrapped']

# Heads that count something else than the classes of the data set: by name and by type.
OTHER_NAMES = ('rpn_head', 'semantic_head')
OTHER_TYPES = ('RPN', 'Fusion', 'GroundingDINO', 'STDCHead', 'VPDDepthHead', 'ReIDHead')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
OTHER_DATA = ('MOTChallengeDataset',)  # whose detectors know pedestrians only


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Stops runs whose heads do not have as many classes as their data, and looks at label maps.

    Too many classes train without a word and too few are an index error deep in a loss. Of a
    segmentor's training set a sample of label maps is read: classes that never occur in it, and
    pixels that are ignored, are logged.

    Args:
        allow (Sequence[str]): Names of heads that may have another number of classes, such as
            ``'decode_head'``, and of loaders whose data may have other classes than the training,
            such as ``'val_dataloader'``. Defaults to none.
        num_maps (int): How many label maps are read. Defaults to 50.
    """

    priority = 'VERY_HIGH'

    def __init__(self, allow: Sequence[str] = (), num_maps: int = 50) -> None:
        self.allow = (allow,) if isinstance(allow, str) else tuple(allow)
        self.num_maps = num_maps

    def before_run(self, runner: Runner) -> None:
        """Check all data sets that the run uses.

        Args:
            runner (Runner): Runner of the run.

        Raises:
            ConfigError: If a head does not fit a data set, data sets have other classes than one
                another, or an allowed head does not exist.
        """
        heads = find_heads(unwrapped(runner.model))
        unknown = [name for name in self.allow if name not in heads and name not in LOADERS]
        if unknown:
            raise ConfigError(
                f'--allow-mismatch {" ".join(unknown)}: the model has the heads '
                f'{", ".join(heads) or "with no number of classes"}'
            )
        first: tuple[str, list[str]] | None = None
        for loader in LOADERS:
            loop = getattr(runner, f'_{loader.split("_")[0]}_loop')
            if not isinstance(loop, BaseLoop):
                continue
            for dataset in inner_data_sets(loop.dataloader.dataset):
                key = f'{loader}.dataset'
                classes = _classes_of(dataset, key)
                if classes is None:
                    continue
                self._check_heads(heads, dataset, classes, key)
                first = first or (key, classes)
                if classes != first[1] and loader not in self.allow:
                    raise ConfigError(
                        f'{key} has other classes than {first[0]}, or in another order, so that '
                        f'one would be taken for another\n  {first[0]}: {", ".join(first[1])}\n'
                        f'  {key}: {", ".join(classes)}\nif it is meant to be so: '
                        f'--allow-mismatch {loader}'
                    )
        if isinstance(runner._train_loop, BaseLoop) and is_main_process():
            for dataset in inner_data_sets(runner.train_dataloader.dataset):
                self._look_at_label_maps(dataset)

    def _check_heads(
        self, heads: dict[str, int], dataset: Any, classes: list[str], key: str
    ) -> None:
        counts = {len(classes), *_panoptic_counts(dataset.metainfo)}
        wrong = {name: n for name, n in heads.items() if n not in counts}
        refused = {name: n for name, n in wrong.items() if name not in self.allow}
        if refused:
            lines = [f'  model.{name}.num_classes={n}' for name, n in refused.items()]
            raise ConfigError(
                f'{key} has {len(classes)} classes ({enumerate_names(classes)}), and the model '
                'has\n' + '\n'.join(lines) + f'\nset these to {len(classes)}, or '
                'metainfo=dict(classes=...) of the data set; if it is meant to be so: '
                f'--allow-mismatch {" ".join(refused)}'
            )
        pipeline = getattr(dataset, 'pipeline', None)
        if wrong and isinstance(pipeline, NamedPipeline):  # labels must fit the smallest head
            pipeline.num_classes = min(len(classes), *wrong.values())

    def _look_at_label_maps(self, dataset: Any) -> None:
        classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if classes is None or not hasattr(dataset, 'reduce_zero_label'):  # not one of mmseg's
            return
        count = min(self.num_maps, len(dataset))
        occurring, ignored, pixels = set(), 0, 0
        read = NamedPipeline(partial(_load_label_map, dataset.pipeline.transforms), None)
        with preserved_randomness():
            for i in np.linspace(0, len(dataset) - 1, count).astype(int):
                sample = dataset.get_data_info(int(i))
                path = sample.get('seg_map_path') or ''
                highest = beyond_eight_bits(path, getattr(dataset, 'backend_args', None))
                if highest is not None:
                    raise DataError(
                        f'label map {path} has the value {highest}, which mmseg reads modulo 256; '
                        'write maps of 8 bits'
                    )
                label_map = read(sample)
                if label_map is not None:
                    labels, counts = np.unique(label_map, return_counts=True)
                    occurring.update(labels.tolist())
                    ignored += int(counts[labels == dataset.ignore_index].sum())
                    pixels += int(counts.sum())
        if not pixels:
            return
        absent = [name for i, name in enumerate(classes) if i not in occurring]
        share = f'{dataset.ignore_index} means "ignore", which {100 * ignored / pixels:.1f} %'
        said = f'in {count} of {len(dataset)} label maps: {share} of the pixels have'
        if absent:
            said += f'; no pixel has the class {enumerate_names(absent)}'
        if absent and occurring <= {0, dataset.ignore_index}:
            said += '. Masks of two classes must hold 0 and 1, not 0 and 255'
        if ignored or absent:
            print_log(said, 'current', logging.WARNING if absent else logging.INFO)


def _panoptic_counts(metainfo: dict) -> set[int]:
    """Classes of heads for things, and for stuff with one class for all things."""
    things, stuff = (metainfo.get(f'{kind}_classes') or () for kind in ('thing', 'stuff'))
    return {len(things), len(stuff), len(stuff) + 1} if things and stuff else set()


def _classes_of(dataset: Any, key: str) -> list[str] | None:
    """Names of the classes of a data set, after checking that they are numbered as it says."""
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if classes is None or type(dataset).__name__ in OTHER_DATA:
        return None
    if isinstance(classes, str):
        raise ConfigError(
            f'{key}.metainfo.classes must be names in a tuple, got the text {classes!r}; '
            f'write ({classes!r},) for a single class'
        )
    own = type(dataset).METAINFO.get('classes') if hasattr(type(dataset), 'METAINFO') else None
    numbered = getattr(dataset, 'cat_ids', None)
    if numbered is not None and (len(numbered) != len(classes) or classes != own):
        _check_order(dataset, classes)
    folders = list(getattr(dataset, 'folder_to_idx', ()))  # of a classifier's data, as numbered
    if {*folders} & {*classes} and folders != [*classes]:
        raise ConfigError(
            f'{key} has its classes in folders, which are numbered in alphabetical order:\n'
            f'  folders: {", ".join(folders)}\n  classes: {", ".join(classes)}\n'
            'write classes in the order of the folders'
        )
    return [str(name) for name in classes]


def _check_order(dataset: Any, classes: Sequence[str]) -> None:
    """Data sets of mmdet number the categories that they find in a file, in its order."""
    from mmfreq.datasets.coco import check_categories

    content = load(dataset.ann_file, backend_args=getattr(dataset, 'backend_args', None))
    check_categories(classes, content['categories'], dataset.ann_file)


def find_heads(model: nn.Module) -> dict[str, int]:
    """Heads of a model that predict the classes of a data set.

    Args:
        model (nn.Module): Segmentor, detector or classifier, also inside of a wrapper.

    Returns:
        dict[str, int]: Number of classes of each head by its name.
    """
    found = {}
    for name, module in model.named_modules():
        last = name.rstrip('.0123456789').split('.')[-1]  # heads of a cascade are numbered
        number = getattr(module, 'num_classes', None)
        other = any(part in type(module).__name__ for part in OTHER_TYPES) or last in OTHER_NAMES
        if last.endswith('head') and isinstance(number, int) and number > 0 and not other:
            found[name] = number
    return found


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside of wrappers for several processes and for test-time augmentation.

    Args:
        model (nn.Module): A model or a wrapper.

    Returns:
        nn.Module: The model.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        inner = model.module
        assert isinstance(inner, nn.Module)
        model = inner
    return model


def _load_label_map(transforms: Sequence[Any], sample: Any) -> np.ndarray | None:
    """The label map of a sample as it is before any augmentation, if the pipeline loads one."""
    for transform in transforms:
        sample = transform(sample)
        if sample is None or 'gt_seg_map' in sample:
            break
    return None if sample is None else sample.get('gt_seg_map')
