"""Reading configs and applying what the tools' options say, for configs of any library."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from mmfreq.engine.config_errors import check_keys, merge_options
from mmfreq.engine.config_options import read_with_variables
from mmfreq.engine.data_roots import check_data, set_data_root
from mmfreq.utils.config_tree import as_list, dicts_in, find_data_sets, type_name

__all__ = [
    'add_tensorboard',
    'allow_mismatch',
    'enable_amp',
    'enable_auto_scale_lr',
    'enable_tta',
    'read_config',
]

DATA_CHECK = 'mmfreq.DataCheckHook'


def read_config(
    path: str,
    options: dict | None,
    work_dir: str | None,
    data_root: str | Sequence[str] | None,
    splits: Sequence[str] = ('train', 'val', 'test'),
) -> Config:
    """Read a config file and apply the options that all tools share.

    Args:
        path (str): Path of a config file, which is code and is executed, or one of an installed
            library, see :func:`mmfreq.utils.config_files.read_model_config`.
        options (dict, optional): Values by dotted key, of ``--cfg-options``.
        work_dir (str, optional): Folder of the run. None: the config's, or one under ``work_dirs``
            with the config's name.
        data_root (str | Sequence[str], optional): Folder of the data set in place of the config's,
            see :func:`mmfreq.engine.data_roots.set_data_root`.
        splits (Sequence[str]): Data that have to be there. Defaults to all.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such file, or a folder or file of the data set is missing.
        ValueError: If the path is an address, the file cannot be read, or a key of the config or
            the options is one that nothing reads.
    """
    if '://' in path:
        raise ValueError(f'{path}: a config is code, so it is read from a local file only')
    cfg, options = read_with_variables(path, options)
    if data_root:
        set_data_root(cfg, data_root)
    merge_options(cfg, options)
    check_keys(cfg)
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    check_data(cfg, splits)
    return cfg


def enable_amp(cfg: Config) -> None:
    """Train with automatic mixed precision.

    Args:
        cfg (Config): Config, changed in place.

    Raises:
        ValueError: If there is no GPU, which MMEngine's loss scaling needs, or the config has
            another kind of optimiser wrapper.
    """
    if not torch.cuda.is_available():
        raise ValueError('--amp needs a GPU; train without it on this machine')
    kind = type_name(cfg.optim_wrapper) or 'OptimWrapper'
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(f'--amp is for optim_wrapper.type=OptimWrapper, the config has {kind}')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate with the batch size.

    Args:
        cfg (Config): Config, changed in place.

    Raises:
        ValueError: If the config does not say which batch size its learning rate is made for.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise ValueError(
            '--auto-scale-lr needs auto_scale_lr.base_batch_size in the config, the batch size '
            'that its learning rate is made for; --cfg-options auto_scale_lr.base_batch_size=16'
        )
    cfg.auto_scale_lr.enable = True


def enable_tta(cfg: Config) -> None:
    """Test with augmentations, as ``tta_model`` and ``tta_pipeline`` of the config say.

    Args:
        cfg (Config): Config, changed in place.

    Raises:
        ValueError: If the config has no test-time augmentation.
    """
    if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
        raise ValueError('--tta needs tta_model and tta_pipeline in the config')
    for key, dataset in find_data_sets(cfg).items():
        if key.startswith('test_dataloader'):
            dataset['pipeline'] = cfg.tta_pipeline
    roi_head = cfg.model.get('roi_head') or {}
    for _, metric in dicts_in(cfg.test_evaluator):
        kinds = set(metric.get('metric') or ())
        if type_name(metric) == 'CocoMetric' and kinds == {'bbox', 'segm'}:
            print_log('mmdet merges boxes only under --tta: masks are not evaluated', 'current')
            metric['metric'] = 'bbox'
            roi_head.update(mask_head=None, mask_roi_extractor=None)
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def add_tensorboard(cfg: Config) -> None:
    """Log to TensorBoard as well.

    Args:
        cfg (Config): Config, changed in place.
    """
    if cfg.get('visualizer') is None:
        cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    backends = cfg.visualizer.get('vis_backends') or []
    backends = [backends] if isinstance(backends, dict) else list(backends)
    if not any(type_name(backend) == 'TensorboardVisBackend' for backend in backends):
        backends.append(dict(type='TensorboardVisBackend'))
    cfg.visualizer.vis_backends = backends


def allow_mismatch(cfg: Config, heads: Sequence[str]) -> None:
    """Check heads and data before the run, but for some heads.

    Args:
        cfg (Config): Config, changed in place: it gets the hook that checks.
        heads (Sequence[str]): Names of heads that may have another number of classes than the data
            set, of ``--allow-mismatch``.
    """
    hooks = cfg.get('default_hooks') or {}
    if 'data_check' in hooks and hooks['data_check'] is None:  # switched off
        hooks.pop('data_check')  # MMEngine takes None for its own hooks only
        return
    places = (hooks, cfg.get('custom_hooks') or [])
    found = [node for place in places for _, node in dicts_in(place) if _is_data_check(node)]
    if not found:
        cfg.default_hooks = {**hooks, 'data_check': dict(type=DATA_CHECK)}
        found = [cfg.default_hooks['data_check']]
    for hook in found:
        hook['allow'] = [*as_list(hook.get('allow')), *heads]


def _is_data_check(node: dict) -> bool:
    return type_name(node) == DATA_CHECK.split('.')[-1]
