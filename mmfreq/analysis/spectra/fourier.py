"""Fourier analysis of feature maps over depth, and effective receptive fields."""

import math
import re
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmfreq.analysis.spectra.watching import watch
from mmfreq.ops.fft import rfft2

__all__ = ['AmplitudeCurve', 'amplitude_over_depth', 'effective_receptive_field', 'field_side']

BLOCK = re.compile(r'(Block|Bottleneck)$')


class AmplitudeCurve(NamedTuple):
    """Amplitude of the feature maps behind a block.

    Attributes:
        name (str): Module in the network.
        depth (float): Number of the block divided by that of the last one.
        frequencies (Tensor): Along the diagonal, as a share of the highest, 0 to 1.
        log_amplitude (Tensor): Natural logarithm of the amplitude divided by that at frequency 0.
    """

    name: str
    depth: float
    frequencies: Tensor
    log_amplitude: Tensor


def amplitude_over_depth(backbone: nn.Module, images: Tensor) -> list[AmplitudeCurve]:
    """Relative log amplitude of feature maps by frequency, block by block.

    The analysis of "How Do Vision Transformers Work?", arXiv 2202.06709, figure 2: amplitudes along
    the diagonal of the spectrum, mean over channels and images.

    Args:
        backbone (nn.Module): Backbone, whose blocks are modules named ``...Block`` or
            ``Bottleneck``.
        images (Tensor): Square images, shape ``(B, 3, N, N)``.

    Returns:
        list[AmplitudeCurve]: One curve per block, in the order of the computation.

    Raises:
        ValueError: If the images are not square, or the backbone has no blocks.
    """
    _check_square(images)
    blocks: dict[str, nn.Module] = {}
    for name, module in backbone.named_modules():
        nested = any(name.startswith(f'{block}.') for block in blocks)
        if BLOCK.search(type(module).__name__) and not nested:
            blocks[name] = module
    if not blocks:
        raise ValueError(f'{type(backbone).__name__} has no blocks to look at')
    maps = watch(backbone, images, blocks, lambda module, x, output: _as_maps(output))
    curves = []
    for i, (name, x) in enumerate(maps.items()):
        spectrum = rfft2(x).abs().mean((0, 1))
        count = x.shape[-1] // 2 + 1
        amplitude = spectrum.diagonal()[:count]  # rows 0 to N // 2 are the positive frequencies
        curves.append(
            AmplitudeCurve(
                name,
                i / max(len(maps) - 1, 1),
                torch.arange(count) / (count - 1 if count > 1 else 1),
                (amplitude / amplitude[0]).log(),
            )
        )
    return curves


def effective_receptive_field(backbone: nn.Module, images: Tensor) -> Tensor:
    """How much each pixel changes the centre of the last map, arXiv 1701.04128.

    The centre's channels are added up behind a ReLU, as in arXiv 2203.06717: behind a layer norm
    their plain sum is constant.

    Args:
        backbone (nn.Module): Backbone.
        images (Tensor): Square images, shape ``(B, 3, N, N)``.

    Returns:
        Tensor: Gradient magnitude, mean over images and colours, scaled to a sum of 1, shape
        ``(N, N)``.

    Raises:
        ValueError: If the images are not square.
    """
    _check_square(images)
    backbone.eval()
    images = images.clone().requires_grad_()
    last = backbone(images)[-1]
    centre = last[:, :, last.shape[-2] // 2, last.shape[-1] // 2].relu()
    (gradient,) = torch.autograd.grad(centre.sum(), images)
    field = gradient.abs().mean((0, 1))
    return field / field.sum()


def field_side(field: Tensor, share: float) -> float:
    """Side of the smallest centred square with this share of a receptive field, over the image's.

    Args:
        field (Tensor): Receptive field with a sum of 1, shape ``(N, N)``.
        share (float): Between 0 and 1.

    Returns:
        float: Between 0 and 1.
    """
    size = len(field)
    offsets = (torch.arange(size) - size // 2).abs()
    distance = torch.maximum(offsets[:, None], offsets)
    inside = torch.zeros(int(distance.max()) + 1).index_add(0, distance.flatten(), field.flatten())
    radius = int((inside.cumsum(0) < share).sum())
    return min((2 * radius + 1) / size, 1.0)


def _check_square(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[-1] != images.shape[-2]:
        raise ValueError(f'the analysis needs square images, got {tuple(images.shape)}')


def _as_maps(output: Tensor) -> Tensor:
    """Maps ``(B, C, N, N)`` from those, from ``(B, N, N, C)`` or from tokens ``(B, N * N, C)``."""
    if output.ndim == 3:
        side = math.isqrt(output.shape[1])
        return output.transpose(1, 2).unflatten(-1, (side, side))
    channels_last = output.shape[1] == output.shape[2] != output.shape[3]
    return output.permute(0, 3, 1, 2) if channels_last else output
