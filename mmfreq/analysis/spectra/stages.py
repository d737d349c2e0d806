"""What the stages of a backbone do to spectra: their maps, and the gains of their filters."""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmfreq.analysis.spectra.filters import Spectrum, masks_for, stored_filters
from mmfreq.analysis.spectra.watching import watch
from mmfreq.ops.fft import centred_spectrum, rfft2

__all__ = [
    'filters_of_stages',
    'gain_by_frequency',
    'mean_amplitude',
    'mean_of_layers',
    'spectra_of_stages',
]


def mean_amplitude(name: str, maps: Tensor) -> Spectrum:
    """Amplitude by frequency, mean over channels.

    Args:
        name (str): What the maps are called.
        maps (Tensor): Maps of shape ``(B, C, H, W)``.

    Returns:
        Spectrum: Its values are real, shape ``(B, H, W)``.
    """
    full, rows, columns = centred_spectrum(rfft2(maps), maps.shape[-1])
    return Spectrum(name, full.abs().mean(1).cpu(), rows, columns)


def spectra_of_stages(backbone: nn.Module, images: Tensor) -> list[Spectrum]:
    """Spectra of the maps behind each stage.

    Args:
        backbone (nn.Module): Backbone; one without ``stages`` is taken by its outputs.
        images (Tensor): Images as the backbone takes them, shape ``(B, C, H, W)``.

    Returns:
        list[Spectrum]: Of the images, then of each stage, see :func:`mean_amplitude`; their names
        tell sizes and channels.
    """

    def named(name: str, x: Tensor) -> Spectrum:
        channels, height, width = x.shape[1:]
        unit = 'channel' if channels == 1 else 'channels'
        return mean_amplitude(f'{name}\n{width} x {height}, {channels} {unit}', x)

    stages = getattr(backbone, 'stages', None)
    if isinstance(stages, nn.ModuleList):
        modules: Mapping[str, nn.Module] = {f'stage {i}': m for i, m in enumerate(stages)}
        found = watch(backbone, images, modules, lambda module, x, output: output)
    else:
        outputs = watch(backbone, images, {'': backbone}, lambda module, x, output: output)['']
        outputs = [outputs] if isinstance(outputs, Tensor) else outputs
        found = {f'output {i}': x for i, x in enumerate(outputs)}
    maps = {name: x for name, x in found.items() if isinstance(x, Tensor) and x.ndim == 4}
    return [named(name, x) for name, x in {'input': images, **maps}.items()]


def filters_of_stages(network: nn.Module, images: Tensor) -> dict[str, list[Spectrum]]:
    """Magnitudes of all filters of a network: those it stores and those it makes for an image.

    Args:
        network (nn.Module): Any network.
        images (Tensor): Images as the network takes them, shape ``(B, C, H, W)``.

    Returns:
        dict[str, list[Spectrum]]: For each stage the layers with filters; values are the mean over
        filters, or over images, shape ``(H, W)``. Empty if there are none.
    """
    spectra = [spectrum for spectrum, _ in stored_filters(network)] + masks_for(network, images)
    means = [s._replace(values=s.values.abs().mean(0).cpu()) for s in spectra]

    def stage(spectrum: Spectrum) -> str:
        return '.'.join(spectrum.name.split('.')[:2])

    return {name: list(group) for name, group in itertools.groupby(means, stage)}


def gain_by_frequency(spectrum: Spectrum) -> tuple[Tensor, Tensor]:
    """Gain of a filter by distance from frequency zero.

    Args:
        spectrum (Spectrum): Magnitudes of shape ``(H, W)``.

    Returns:
        tuple[Tensor, Tensor]: Distances in cycles per pixel up to 1/2, and the mean on the ring
        around each.
    """
    distance = torch.hypot(spectrum.rows[:, None], spectrum.columns)
    side = min(spectrum.values.shape)
    ring = (distance * side).round().long().flatten()
    counts = ring.bincount()
    sums = ring.bincount(weights=spectrum.values.flatten().double())
    last = side // 2 + 1
    return torch.arange(last) / side, (sums / counts)[:last]


def mean_of_layers(spectra: Sequence[Spectrum]) -> Spectrum:
    """Mean of the spectra that have the size of the last one.

    Args:
        spectra (Sequence[Spectrum]): Magnitudes of shape ``(H, W)``.

    Returns:
        Spectrum: Their mean, under the name of the last one.
    """
    last = spectra[-1]
    values = [s.values for s in spectra if s.values.shape == last.values.shape]
    return last._replace(values=torch.stack(values).mean(0))
