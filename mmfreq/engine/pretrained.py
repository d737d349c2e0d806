"""Checkpoints that a run starts from: ``--pretrained``, and checks before and after loading."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmfreq.models.pretrained import is_pretrained
from mmfreq.utils.checkpoint import find_weights, read_checkpoint
from mmfreq.utils.config_tree import as_list, dicts_in, find_backbones, package_of
from mmfreq.utils.errors import CheckpointError
from mmfreq.utils.names import enumerate_names

__all__ = [
    'check_checkpoint',
    'check_fit',
    'check_loaded',
    'check_pretrained',
    'read_only_safe_checkpoints',
    'set_pretrained',
]

PREFIX = 'backbone.'  # of a backbone's weights in the files of whole models


def set_pretrained(cfg: Config, source: str) -> None:
    """Set the checkpoint that the backbone starts from, and leave other initialisations alone.

    Args:
        cfg (Config): Config, changed in place. Its model has one backbone, which may be inside of
            a wrapper.
        source (str): Path or http(s) address; ``'none'`` to start from scratch.

    Raises:
        ValueError: If the model has no backbone or several.
    """
    found = find_backbones(cfg.get('model'))
    if len(found) != 1:
        several = f'several: {", ".join(found)}' if found else 'none'
        raise ValueError(
            f'--pretrained is for models with one backbone, this one has {several}; use init_cfg '
            'in the config'
        )
    ((path, parent),) = found.items()
    backbone = parent['backbone']
    host = backbone.get('backbone', backbone)  # of mmfreq.FDConvBackbone
    # Other ways to name a checkpoint would be used instead of this one, or after it.
    replaced = [node for node in (parent, backbone, host) if node.get('pretrained') is not None]
    for node in replaced:
        node['pretrained'] = None
    outer = [node for key, node in dicts_in(cfg.model, 'model') if path.startswith(f'{key}.')]
    for node in outer if host is backbone else [*outer, host]:
        entries, others = _entries(node)
        if others != entries:
            node['init_cfg'] = others or None
            replaced.append(node)
    if cfg.get('load_from') and not cfg.get('resume'):  # else it is the run's own checkpoint
        cfg.load_from = None
        replaced.append(cfg)
    if replaced:
        message = '--pretrained replaces load_from, and pretrained and init_cfg around'
        print_log(f'{message} {path}, where the config has them', 'current')
    entries, others = _entries(backbone)
    if source == 'none':
        backbone['init_cfg'] = others or None
        return
    former: dict = next((entry for entry in entries if is_pretrained(entry)), {})
    entry = {'type': 'Pretrained', **former, 'checkpoint': source}
    if 'prefix' not in entry and package_of(host) != 'mmfreq':
        names = find_weights(read_checkpoint(source), source)
        if any(name.startswith(PREFIX) for name in names):
            entry['prefix'] = PREFIX
    backbone['init_cfg'] = [*others, entry] if others else entry


def _entries(node: dict) -> tuple[list, list]:
    """All entries of an ``init_cfg``, and those that name no checkpoint."""
    entries = as_list(node.get('init_cfg') or None)
    return entries, [entry for entry in entries if not is_pretrained(entry)]


def check_pretrained(cfg: Config) -> bool:
    """Read all checkpoints that a model's initialisation names, before the run begins.

    Args:
        cfg (Config): Config of a run.

    Returns:
        bool: Whether it names any.

    Raises:
        ConnectionError: If one cannot be downloaded; the message names the other choices.
        FileNotFoundError: If there is no such file.
        ValueError: If a file is not a whole and harmless checkpoint.
    """
    sources = []
    for _, node in dicts_in(cfg.get('model')):
        if is_pretrained(node):
            sources.append(node.get('checkpoint'))
        if isinstance(node.get('pretrained'), str):
            sources.append(node['pretrained'])
    for source in dict.fromkeys(source for source in sources if isinstance(source, str)):
        try:
            check_checkpoint(source)
        except ConnectionError as error:
            raise ConnectionError(
                f'{error}; name a file with --pretrained PATH, or start from scratch with '
                '--pretrained none'
            ) from error
    return bool(sources)


def check_checkpoint(source: str) -> None:
    """Read a checkpoint before a run begins, so that a broken one leaves nothing behind.

    Args:
        source (str): Path or http(s) address.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a whole and harmless checkpoint.
    """
    find_weights(read_checkpoint(source), source)


def check_loaded(model: nn.Module) -> None:
    """Check that the checkpoints of a model's ``init_cfg`` belong to the parts that name them.

    MMEngine loads what fits and warns about the rest, also where nothing fits: a classifier's file
    without ``prefix`` leaves random weights. mmfreq's own backbones check the whole file.

    Args:
        model (nn.Module): Model after ``init_weights``.

    Raises:
        CheckpointError: If no tensor of a file belongs to its part of the model.
    """
    for name, module in model.named_modules():
        for entry in as_list(getattr(module, 'init_cfg', None)):
            if not is_pretrained(entry) or hasattr(module, 'adapt_checkpoint'):
                continue
            source = entry['checkpoint']
            tensors = find_weights(read_checkpoint(source), source)
            if not _has_any(module, tensors):
                begins = sorted({key.split('.')[0] for key in tensors})
                raise CheckpointError(
                    f'checkpoint {source} has no tensor of {name or "the model"} '
                    f'({type(module).__name__}), whose weights would stay random; its names begin '
                    f'with {enumerate_names(begins)}: set prefix in init_cfg beside checkpoint, or '
                    'use another file'
                )


def _has_any(module: nn.Module, tensors: dict[str, Tensor]) -> bool:
    """Whether a module has weights of a file; by value, as some networks rename what they load."""
    by_shape: dict[torch.Size, list[Tensor]] = {}
    for tensor in tensors.values():
        by_shape.setdefault(tensor.shape, []).append(tensor)
    return any(
        torch.equal(param.detach().cpu(), tensor.to(param.dtype))
        for param in module.parameters()
        if param.ndim > 1  # those of norms are ones and zeros in any file
        for tensor in by_shape.get(param.shape, [])
    )


def check_fit(model: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Raise a ``CheckpointError`` if no tensor of a checkpoint belongs to a model.

    Args:
        model (nn.Module): A model.
        tensors (dict[str, Tensor]): Weights by name, of a whole model or of its backbone.
        source (str): Name of the file, for the message.
    """
    own = model.state_dict()
    if not any(key in own and own[key].shape == tensor.shape for key, tensor in tensors.items()):
        raise CheckpointError(
            f'checkpoint {source} has no tensor of this {type(model).__name__}; for weights of a '
            'backbone use --pretrained, for a whole model check that the config belongs to it'
        )


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
