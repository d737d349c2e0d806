"""What the filters of a network have learned, and what they do to given images."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from mmfreq.analysis.spectra.watching import watch
from mmfreq.models.mixers import (
    AdaptiveFilter,
    DynamicFilter,
    DynamicSpectrum,
    FrequencyEmbedding,
    HeatConduction,
)
from mmfreq.models.mixers.resizable_filter import ResizableFilter
from mmfreq.models.modulation import BandModulation
from mmfreq.models.stage import Stage
from mmfreq.ops.dct import dct_frequencies
from mmfreq.ops.fft import centred_spectrum, irfft2, rfft2

__all__ = ['Gains', 'Spectrum', 'gains_for', 'masks_for', 'stored_decays', 'stored_filters']


Kind = TypeVar('Kind', bound=nn.Module)


class Spectrum(NamedTuple):
    """Spectra with frequency zero in the middle.

    Attributes:
        name (str): Module in the network.
        values (Tensor): Complex spectra, or real masks, shape ``(N, H, W)``.
        rows (Tensor): Frequencies of the rows in cycles per pixel of the map, shape ``(H,)``.
        columns (Tensor): Those of the columns, shape ``(W,)``.
    """

    name: str
    values: Tensor
    rows: Tensor
    columns: Tensor


class Gains(NamedTuple):
    """Numbers that a network computes for each image.

    Attributes:
        title (str): What they are.
        layers (list[str]): Modules in the network.
        columns (list[str]): What they belong to: bands or basis filters.
        values (Tensor): Means over channels, or positions, shape ``(images, layers, columns)``.
    """

    title: str
    layers: list[str]
    columns: list[str]
    values: Tensor


def stored_filters(network: nn.Module) -> list[tuple[Spectrum, Tensor]]:
    """Filters that a network stores, of GFNet and GFFormer per channel, of DFFormer the basis.

    Args:
        network (nn.Module): Any network.

    Returns:
        list[tuple[Spectrum, Tensor]]: For each layer with filters the spectra of all of them, and
        their impulse responses ``(N, H, W)`` with position zero in the middle.
    """
    found = []
    for name, module in network.named_modules():
        if isinstance(module, ResizableFilter):
            half = torch.view_as_complex(module.weight.detach().float())
            height, width = module.size
            kernels = irfft2(half, module.size, norm='backward')
            centred = kernels.roll((height // 2, width // 2), (-2, -1))
            layer = name.removesuffix('.filters')
            found.append((Spectrum(layer, *centred_spectrum(half, width)), centred))
    return found


def stored_decays(network: nn.Module) -> list[Spectrum]:
    """Decays that vHeat has learned, mean over channels, for maps of the stored size.

    Args:
        network (nn.Module): Any network.

    Returns:
        list[Spectrum]: For each layer with heat conduction one decay, from frequency zero on.
    """
    found = []
    for name, stage in network.named_modules():
        if not isinstance(stage, Stage):
            continue
        embeddings = [item for item in stage.shared() if isinstance(item, FrequencyEmbedding)]
        for layer, module in _of_kind(stage, HeatConduction).items():
            size = embeddings[0].size
            with torch.no_grad():
                decay = module.decay(embeddings[0], size).mean(-1)
            axes = (dct_frequencies(side) for side in size)
            found.append(Spectrum(f'{name}.{layer}', decay[None].float(), *axes))
    return found


def masks_for(network: nn.Module, images: Tensor) -> list[Spectrum]:
    """Masks that AFFNet puts on the spectra of given images.

    Args:
        network (nn.Module): Any network.
        images (Tensor): Preprocessed images, shape ``(B, 3, H, W)``.

    Returns:
        list[Spectrum]: For each layer the magnitude of the mask, mean over channels, per image.
    """

    def mask(module: AdaptiveFilter, x: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = rfft2(x.permute(0, 3, 1, 2))
        full, rows, columns = centred_spectrum(module.mask(z), x.shape[2])
        return full.abs().mean(1), rows, columns

    found = watch(network, images, _of_kind(network, AdaptiveFilter), mask)
    return [Spectrum(name, *spectrum) for name, spectrum in found.items()]


def gains_for(network: nn.Module, images: Tensor) -> list[Gains]:
    """What DFFormer, DSM and FDConv compute for given images.

    Args:
        network (nn.Module): Any network.
        images (Tensor): Preprocessed images, shape ``(B, 3, H, W)``.

    Returns:
        list[Gains]: Coefficients of DFFormer's basis filters, gains of DSM's bands, means of
        FDConv's band maps: those that the network has.
    """
    kinds: list[tuple[type[nn.Module], str, Callable[[Any, Tensor, Tensor], Tensor], str]] = [
        (
            DynamicFilter,
            'Coefficients of the basis filters, mean over channels',
            lambda module, x, _: module.coefficients(x).mean(-1),
            'filter {}',
        ),
        (
            DynamicSpectrum,
            'Gains of the bands, mean over channels',
            lambda module, x, _: module.gains(x).mean(-1),
            'band {}',
        ),
        (
            BandModulation,
            'Gains of the bands from high to low, mean over positions',
            lambda module, x, _: module.gains(x).mean((-2, -1)),
            'band {}',
        ),
    ]
    found = []
    for kind, title, compute, column in kinds:
        outputs = watch(network, images, _of_kind(network, kind), compute)
        if outputs:
            values = torch.stack(list(outputs.values()), dim=1)
            columns = [column.format(i) for i in range(values.shape[-1])]
            found.append(Gains(title, list(outputs), columns, values))
    return found


def _of_kind(network: nn.Module, kind: type[Kind]) -> dict[str, Kind]:
    return {name: module for name, module in network.named_modules() if isinstance(module, kind)}
