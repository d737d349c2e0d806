"""Networks and images that a user names for the pictures of the visualisation tools."""

from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from numpy.typing import ArrayLike
from torch import Tensor, nn

from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.pretrained import load_pretrained, load_whole
from mmfreq.utils.checkpoint import find_state_dict, read_checkpoint
from mmfreq.utils.config_files import is_config, read_model_config
from mmfreq.utils.images import check_image_size
from mmfreq.zoo import (
    backbone_config,
    build_backbone,
    build_model,
    model_settings,
    set_image_size,
)

__all__ = ['normalise', 'open_backbone', 'preprocess', 'read_image', 'read_images']

IMAGENET = (StagedBackbone.image_mean, StagedBackbone.image_std)


def open_backbone(
    model: str | Config, checkpoint: str | None, size: int | tuple[int, int] | None = None
) -> nn.Module:
    """Build a backbone and load its weights.

    Args:
        model (str | Config): Name of a backbone, path of a config, or a config.
        checkpoint (str, optional): A released file, or one of a training. None for fresh weights.
        size (int | tuple[int, int], optional): Image size, in pixels, that filters are stored for;
            those of a checkpoint are resized to it. Defaults to None: what config or backbone say.

    Returns:
        nn.Module: The backbone in evaluation mode.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the name is unknown, or the checkpoint does not belong to the backbone.
    """
    config = None if isinstance(model, str) else model
    if isinstance(model, str) and is_config(model):
        config = read_model_config(model)
    if config is None:
        settings = dict(backbone_config(model))
    else:
        settings = model_settings(config)['backbone']
    if size is not None:
        set_image_size(settings, size)
    backbone = build_backbone(settings) if config is None else build_model(config).backbone
    assert isinstance(backbone, nn.Module)
    if checkpoint is not None:
        if hasattr(backbone, 'adapt_checkpoint'):
            load_pretrained(backbone, checkpoint)  # type: ignore[arg-type]
        else:
            tensors = find_state_dict(read_checkpoint(checkpoint), checkpoint)
            name = model if isinstance(model, str) else model.filename
            load_whole(backbone, tensors, checkpoint, name)
    return backbone


def read_image(path: str) -> np.ndarray:
    """Read an image.

    Args:
        path (str): Image file.

    Returns:
        np.ndarray: RGB image, shape ``(H, W, 3)``, uint8.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is not a whole image, or says it is enormous.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no image {path}')
    check_image_size(path)
    image = mmcv.imread(path)
    if image is None:
        raise ValueError(f'{path} is not a whole image')
    return image[..., ::-1]


def read_images(paths: Sequence[str], size: int) -> list[np.ndarray]:
    """Read images, crop them to a centred square and resize it.

    Args:
        paths (Sequence[str]): Image files.
        size (int): Side in pixels.

    Returns:
        list[np.ndarray]: RGB images, shape ``(size, size, 3)``, uint8.

    Raises:
        FileNotFoundError, ValueError: As in :func:`read_image`.
    """
    images = []
    for path in paths:
        image = read_image(path)
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = image[top : top + side, left : left + side]
        images.append(mmcv.imresize(square, (size, size), interpolation='area'))
    return images


def preprocess(images: Sequence[np.ndarray], backbone: nn.Module) -> Tensor:
    """Images as a backbone takes them, those of other libraries with ImageNet's mean and deviation.

    Args:
        images (Sequence[np.ndarray]): RGB images of the same size, shape ``(H, W, 3)``, uint8.
        backbone (nn.Module): The backbone.

    Returns:
        Tensor: Shape ``(B, 3, H, W)``.
    """
    mean, std = IMAGENET
    if isinstance(backbone, StagedBackbone):
        mean, std = backbone.image_mean, backbone.image_std
    return normalise(images, mean, std)


def normalise(images: Sequence[np.ndarray], mean: ArrayLike, std: ArrayLike) -> Tensor:
    """Images as a batch for a network.

    Args:
        images (Sequence[np.ndarray]): RGB images of the same size, shape ``(H, W, 3)``, uint8.
        mean (ArrayLike): Of each channel.
        std (ArrayLike): Standard deviation of each channel.

    Returns:
        Tensor: Shape ``(B, 3, H, W)``, float32.
    """
    pixels = (np.stack(images) - np.asarray(mean)) / np.asarray(std)
    return torch.from_numpy(pixels).float().permute(0, 3, 1, 2).contiguous()
