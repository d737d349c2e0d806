"""Reading configs and applying what the tools' options say; the same for mmseg and mmdet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader

from mmfreq.utils.checkpoint import find_weights, read_checkpoint

__all__ = [
    'add_tensorboard',
    'check_checkpoint',
    'check_data',
    'enable_amp',
    'enable_tta',
    'map_leaves',
    'read_config',
    'read_only_safe_checkpoints',
    'set_data_root',
    'set_pretrained',
    'show_predictions',
]

HOW_TO_GET_DATA = """\
  ADE20K: unpack ADEChallengeData2016.zip of the MIT scene parsing benchmark into data/ade
  COCO:   unpack train2017, val2017 and annotations of COCO 2017 into data/coco
  other places: give the folder with --data-root
  no data at hand: render a small set, then train on it with one of
    python tools/dataset_converters/render_mini_data.py data/mini
    ... --data-root data/mini/ADEChallengeData2016   (ADE20K configs)
    ... --data-root data/mini/coco                   (COCO configs)"""


def read_config(
    path: str, options: dict | None, work_dir: str | None, data_root: str | None
) -> Config:
    """Read a config file and apply the options that all tools share.

    Args:
        path (str): Path of a config file, which is code and is executed.
        options (dict, optional): Values by dotted key, of ``--cfg-options``.
        work_dir (str, optional): Folder of the run. None: the config's, or one under ``work_dirs``
            with the config's name.
        data_root (str, optional): Folder of the data set in place of the config's.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such file, or a folder or file of the data set is missing.
        ValueError: If the path is an address.
    """
    if '://' in path:
        raise ValueError(f'{path}: a config is code, so it is read from a local file only')
    cfg = Config.fromfile(path)
    if data_root is not None:
        set_data_root(cfg, data_root)
    if options:
        cfg.merge_from_dict(options)
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    check_data(cfg)
    return cfg


def set_data_root(cfg: Config, data_root: str) -> None:
    """Replace the data root everywhere in a config, also at the beginning of other paths.

    Args:
        cfg (Config): Config, changed in place.
        data_root (str): New folder of the data set.
    """
    old_roots = {dataset['data_root'].rstrip('/') for dataset in _datasets(cfg)}

    def replace(value: Any) -> Any:
        for old in old_roots:
            if isinstance(value, str) and (value.rstrip('/') == old or value.startswith(f'{old}/')):
                return data_root.rstrip('/') + value[len(old) :]
        return value

    map_leaves(cfg._cfg_dict, replace)


def check_data(cfg: Config) -> None:
    """Raise a ``FileNotFoundError`` with instructions if a folder or file of a data set is missing.

    Args:
        cfg (Config): Config of a run.
    """
    for dataset in _datasets(cfg):
        root = Path(dataset['data_root'])
        paths = [root, *(root / path for path in (dataset.get('data_prefix') or {}).values())]
        if dataset.get('ann_file'):
            paths.append(root / dataset['ann_file'])
        for path in paths:
            if not path.exists():
                raise FileNotFoundError(f'data not found: {path} does not exist\n{HOW_TO_GET_DATA}')


def set_pretrained(cfg: Config, source: str | None) -> None:
    """Set the checkpoint that the backbone starts from, after checking that it can be read.

    Args:
        cfg (Config): Config, changed in place.
        source (str, optional): Path or http(s) address; ``'none'`` to start from scratch; None to
            keep what the config says.

    Raises:
        ConnectionError: If it cannot be downloaded; the message names the other choices.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a whole and harmless checkpoint.
    """
    if source is None:
        init_cfg = cfg.model.backbone.get('init_cfg') or {}
        source = init_cfg.get('checkpoint', 'none')
    if source == 'none':
        cfg.model.backbone.init_cfg = None
        return
    try:
        check_checkpoint(source)
    except ConnectionError as error:
        raise ConnectionError(
            f'{error}; name a file with --pretrained PATH, or start from scratch with '
            '--pretrained none'
        ) from error
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=source)


def check_checkpoint(source: str) -> None:
    """Read a checkpoint before a run begins, so that a broken one leaves nothing behind.

    Args:
        source (str): Path or http(s) address.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a whole and harmless checkpoint.
    """
    find_weights(read_checkpoint(source), source)


def enable_amp(cfg: Config) -> None:
    """Train with automatic mixed precision.

    Args:
        cfg (Config): Config, changed in place.

    Raises:
        ValueError: If there is no GPU, which MMEngine's loss scaling needs.
    """
    if not torch.cuda.is_available():
        raise ValueError('--amp needs a GPU; train without it on this machine')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def enable_tta(cfg: Config) -> None:
    """Test with augmentations, as ``tta_model`` and ``tta_pipeline`` of the config say.

    Args:
        cfg (Config): Config, changed in place.

    Raises:
        ValueError: If the config has no test-time augmentation.
    """
    if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
        raise ValueError('--tta needs tta_model and tta_pipeline in the config')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    if cfg.test_evaluator.get('metric') == ['bbox', 'segm']:
        print_log('mmdet merges boxes only under --tta: masks are not evaluated', 'current')
        cfg.test_evaluator.metric = 'bbox'
        cfg.model.roi_head.update(mask_head=None, mask_roi_extractor=None)
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def add_tensorboard(cfg: Config) -> None:
    """Log to TensorBoard as well.

    Args:
        cfg (Config): Config, changed in place.
    """
    cfg.visualizer.vis_backends.append(dict(type='TensorboardVisBackend'))


def show_predictions(cfg: Config, folder: str) -> None:
    """Draw the prediction for every test image beside its ground truth.

    Args:
        cfg (Config): Config, changed in place.
        folder (str): Folder for the pictures.
    """
    for hook in cfg.custom_hooks:
        if hook['type'] == 'SegVisualizationHook':
            cfg.visualizer.save_dir = folder
        elif hook['type'] == 'DetVisualizationHook':
            hook['test_out_dir'] = str(Path(folder).resolve())


def read_only_safe_checkpoints() -> None:
    """Make MMEngine read checkpoints without executing anything in them.

    MMEngine falls back to unpickling arbitrary objects and, when it resumes, executes the config
    text stored in the file. This replaces its loaders, for all kinds of addresses, by
    :func:`mmfreq.utils.read_checkpoint` and drops that text.
    """

    def load(filename: str, map_location: Any) -> Any:
        checkpoint = read_checkpoint(filename, map_location)
        if isinstance(checkpoint, dict):
            find_weights(checkpoint, filename)  # refuses NaN
            meta = checkpoint.get('meta')
            if isinstance(meta, dict):
                meta.pop('config', None)
                meta.pop('cfg', None)
        return checkpoint

    prefixes = tuple(CheckpointLoader._schemes)
    CheckpointLoader.register_scheme(prefixes=prefixes, loader=load, force=True)


def _datasets(cfg: Config) -> list[dict]:
    """Configs of all data sets of a run, also those inside of wrappers."""
    found: list[dict] = []

    def search(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get('data_root'), str) and 'type' in node:
                found.append(node)
            for child in node.values():
                search(child)
        elif isinstance(node, (list, tuple)):
            for child in node:
                search(child)

    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        search(cfg.get(name))
    return found


def map_leaves(node: Any, change: Callable[[Any], Any]) -> Any:
    """Change every value in the dicts, lists and tuples of a config.

    Args:
        node (Any): A part of a config; its dicts are changed in place.
        change (Callable): Called with each value; returns the new one.

    Returns:
        Any: The part with changed values.
    """
    if isinstance(node, dict):
        for key, child in node.items():
            node[key] = map_leaves(child, change)
        return node
    if isinstance(node, (list, tuple)):
        return type(node)(map_leaves(child, change) for child in node)
    return change(node)
