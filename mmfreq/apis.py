"""Networks and predictions by name, for Python: what ``import mmfreq`` offers."""

import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from mmfreq.facts import released_address
from mmfreq.inference.model import init_model
from mmfreq.inference.predict import predict
from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.pretrained import load_pretrained
from mmfreq.registry import MODELS
from mmfreq.zoo import PEERS, backbone_config, backbone_names, set_image_size

__all__ = ['create_backbone', 'init_model', 'list_backbones', 'predict']


def list_backbones(pattern: str = '*') -> list[str]:
    """Names of the backbones of this package.

    Args:
        pattern (str): Shell pattern such as ``'gf*'``. Defaults to all.

    Returns:
        list[str]: Names that :func:`create_backbone` takes.
    """
    names = (name for name in backbone_names() if name not in PEERS)
    return [name for name in names if fnmatchcase(name, pattern.lower())]


def create_backbone(
    name: str,
    checkpoint: str | None = None,
    in_channels: int = 3,
    img_size: int | tuple[int, int] = 224,
    out_indices: int | Sequence[int] | None = None,
    **options: Any,
) -> StagedBackbone:
    """Build a backbone by its name, with fresh weights or those of a file.

    Images ``(B, in_channels, H, W)``, normalised with the backbone's ``image_mean`` and
    ``image_std``, become a tuple of maps ``(B, C, h, w)``, one for each of ``out_indices``, finest
    first; ``out_channels`` and ``out_strides`` say which. Weights are float32, and the backbone is
    in training mode, as new modules of PyTorch are.

    Args:
        name (str): A name from :func:`list_backbones`, such as ``'gfnet-h-s'``.
        checkpoint (str, optional): File or address of a released or trained checkpoint, or
            ``'released'`` for the weights of the authors, which are downloaded. Defaults to None:
            fresh weights.
        in_channels (int): Channels of the images; RGB weights are adapted. Defaults to 3.
        img_size (int | tuple[int, int]): Size of the images in pixels that filters are stored for;
            images of any other size work, too. Backbones without such filters take any size alike.
            Defaults to 224.
        out_indices (int | Sequence[int], optional): Stages whose maps are returned. Defaults to
            None: four maps, of all stages, or the ends of four groups of blocks.
        **options: Other arguments of the backbone, such as ``drop_path_rate``, ``frozen_stages`` or
            ``backend``.

    Returns:
        StagedBackbone: The backbone.

    Raises:
        ConnectionError, FileNotFoundError: If the checkpoint cannot be had.
        ValueError: If the name is unknown, the message has the nearest ones; if the checkpoint
            belongs to another network; or if there are no released weights.
        TypeError: If an option is unknown; the message lists all.
    """
    if name in PEERS:
        raise ValueError(f'{name} is a backbone of MMPretrain; there it is built by get_model')
    settings = dict(backbone_config(name))
    set_image_size(settings, img_size)
    settings.update(options, in_channels=in_channels)
    if out_indices is not None:
        settings['out_indices'] = out_indices
    backbone: StagedBackbone = MODELS.build(settings)
    before = logging.root.manager.disable
    logging.disable(logging.INFO)  # MMEngine writes lines for each of some hundred parameters
    try:
        backbone.init_weights()
    finally:
        logging.disable(before)
    if checkpoint == 'released':
        checkpoint = released_address(name)
    if checkpoint is not None:
        load_pretrained(backbone, checkpoint)
    return backbone
