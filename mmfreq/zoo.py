"""Networks by name or from a config, ready to be called with images."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.backbones.resizable import ResizableBackbone
from mmfreq.registry import MODELS
from mmfreq.utils.config_tree import find_backbones
from mmfreq.utils.errors import ConfigError
from mmfreq.utils.names import nearest

__all__ = [
    'PEERS',
    'backbone_config',
    'backbone_names',
    'build_backbone',
    'build_model',
    'default_shape',
    'image_channels',
    'model_settings',
    'set_image_size',
]

ALL_STAGES = (0, 1, 2, 3)

# Well-known backbones by name, each with the four maps that a decoder takes.
PEERS: dict[str, dict[str, Any]] = {
    'resnet-50': dict(type='mmpretrain.ResNet', depth=50, out_indices=ALL_STAGES),
    'convnext-t': dict(
        type='mmpretrain.ConvNeXt',
        arch='tiny',
        out_indices=ALL_STAGES,
        gap_before_final_norm=False,
    ),
    'convnext-s': dict(
        type='mmpretrain.ConvNeXt',
        arch='small',
        out_indices=ALL_STAGES,
        gap_before_final_norm=False,
    ),
    'swin-t': dict(
        type='mmpretrain.SwinTransformer', arch='tiny', out_indices=ALL_STAGES, pad_small_map=True
    ),
    'swin-s': dict(
        type='mmpretrain.SwinTransformer', arch='small', out_indices=ALL_STAGES, pad_small_map=True
    ),
    'poolformer-s36': dict(type='mmpretrain.PoolFormer', arch='s36', out_indices=(0, 2, 4, 6)),
    'hornet-t-gf': dict(
        type='mmpretrain.HorNet',
        arch='tiny-gf',
        out_indices=ALL_STAGES,
        gap_before_final_norm=False,
    ),
    'van-b2': dict(type='mmpretrain.VAN', arch='base', out_indices=ALL_STAGES),
    'mobilevit-s': dict(type='mmpretrain.MobileViT', arch='small', out_indices=(1, 2, 3, 4)),
}


def backbone_names() -> dict[str, dict[str, Any]]:
    """Configs of all backbones that have a short name: what is registered here, and peers.

    Returns:
        dict[str, dict]: Config of a backbone by its name, for example ``'gfnet-h-s'``.
    """
    MODELS.import_from_location()
    ours = {
        f'{name.lower()}-{arch}': dict(type=f'mmfreq.{name}', arch=arch)
        for name, kind in sorted(MODELS.module_dict.items())
        if inspect.isclass(kind) and issubclass(kind, StagedBackbone)
        for arch in kind.arch_settings
    }
    return {**ours, **PEERS}


def backbone_config(name: str, arch: str | None = None) -> dict[str, Any]:
    """Config of a backbone.

    Args:
        name (str): A short name such as ``'gfnet-h-s'`` or ``'convnext-t'``, or a registered type
            such as ``'mmfreq.GFNet'``.
        arch (str, optional): Variant of a registered type. Defaults to None: the type's own
            default.

    Returns:
        dict: Config for ``MODELS.build``.

    Raises:
        ValueError: If the name or the variant is unknown; the message has the nearest known ones.
    """
    known = backbone_names()
    if name in known:
        if arch is not None:
            raise ValueError(f'{name} says which variant it is; leave --arch {arch} out')
        return known[name]
    network = MODELS.get(name) if '.' in name else None
    if network is None:
        types = sorted({cfg['type'] for cfg in known.values()})
        raise ValueError(f'there is no backbone {name!r}{nearest(name, [*known, *types])}')
    if arch is None:
        return dict(type=name)
    choice = _choice_of(network)
    variants = getattr(network, 'arch_settings', getattr(network, 'arch_zoo', {}))
    names = {str(variant): variant for variant in variants}
    if names and arch not in names:
        raise ValueError(f'{name} has no {choice} {arch!r}{nearest(arch, list(names))}')
    return {'type': name, choice: names.get(arch, arch)}


def build_backbone(config: dict[str, Any]) -> nn.Module:
    """Build a backbone with fresh weights.

    Args:
        config (dict): As returned by :func:`backbone_config`.

    Returns:
        nn.Module: The backbone in evaluation mode.
    """
    torch.manual_seed(0)
    return _evaluating(MODELS.build(config))


def set_image_size(settings: dict[str, Any], size: int | tuple[int, int]) -> None:
    """Let filters be stored for a size, if a backbone has any that are.

    Args:
        settings (dict): Config of a backbone, changed in place.
        size (int | tuple[int, int]): Image size in pixels.
    """
    kind = settings['type']
    network = MODELS.get(kind) if isinstance(kind, str) else kind
    if inspect.isclass(network) and issubclass(network, ResizableBackbone):
        settings['img_size'] = size


def model_settings(config: Config) -> dict[str, Any]:
    """The part of a config that a network with a backbone is built from.

    Args:
        config (Config): A config of a segmentor, detector or classifier.

    Returns:
        dict: ``config.model``, or the only network in it, as in mmdet's semi-supervised training.

    Raises:
        ConfigError: If there is no backbone, or several networks have one.
    """
    found = find_backbones(config.get('model'))
    if 'model.backbone' in found or len(found) == 1:
        return next(iter(found.values()))
    several = f', but several: {", ".join(found)}' if found else ''
    raise ConfigError(f'{config.filename} has no model with a backbone{several}')


def image_channels(config: Config) -> int:
    """Channels of the images that the backbone of a config takes, 3 if it does not say."""
    return model_settings(config)['backbone'].get('in_channels', 3)


def build_model(config: Config) -> nn.Module:
    """Build the whole model of a config with fresh weights; nothing is downloaded.

    Args:
        config (Config): A config of a segmentor, detector or classifier.

    Returns:
        nn.Module: The model in evaluation mode, with ordinary batch norms.

    Raises:
        ConfigError: If the config has no model with a backbone.
    """
    settings = model_settings(config)
    if config.get('data_preprocessor'):  # runs put it there, too
        settings.setdefault('data_preprocessor', config.data_preprocessor)
    if settings.get('pretrained'):  # as init_cfg; segmentors hand it to backbones of any kind
        settings['pretrained'] = None
    torch.manual_seed(0)
    scope = DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmengine'))
    with scope, _without_checkpoints():
        model = revert_sync_batchnorm(MODELS.build(settings))
    return _evaluating(model)


def default_shape(config: Config) -> tuple[int, int]:
    """Image size ``(H, W)`` in pixels that results for a config are usually given for.

    The crop of a segmentor, the fixed side of a detector if it has one, 800 x 1280 for others, 224
    for classifiers.

    Args:
        config (Config): A config of a segmentor, detector or classifier.

    Returns:
        tuple[int, int]: Height and width.
    """
    if config.get('default_scope') == 'mmdet':
        return config.get('side', (800, 1280))
    return config.get('crop_size', (224, 224))


def _evaluating(network: nn.Module) -> nn.Module:
    network.eval()  # some networks of mmpretrain return None here
    return network


@contextmanager
def _without_checkpoints() -> Iterator[None]:
    """Constructors that load weights, such as a teacher's, fail instead of downloading them."""

    def refuse(filename: str, map_location: Any = None) -> None:
        raise ValueError(f'{filename} would be loaded, and weights are random here; leave it out')

    schemes = CheckpointLoader._schemes
    CheckpointLoader._schemes = dict.fromkeys(schemes, refuse)
    try:
        yield
    finally:
        CheckpointLoader._schemes = schemes


def _choice_of(network: Any) -> str:
    """Name of the argument that chooses a variant."""
    parameters = inspect.signature(network).parameters
    return 'arch' if 'arch' in parameters or 'depth' not in parameters else 'depth'
