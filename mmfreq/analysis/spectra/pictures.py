"""Pictures of filters, spectra and receptive fields, each with titles, units and colour bars."""

import re
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mmfreq.analysis.spectra.filters import Gains, Spectrum
from mmfreq.analysis.spectra.fourier import AmplitudeCurve, field_side
from mmfreq.analysis.spectra.stages import gain_by_frequency, mean_of_layers

__all__ = [
    'draw_amplitudes',
    'draw_decays',
    'draw_fields',
    'draw_filters',
    'draw_gains',
    'draw_masks',
    'draw_stage_filters',
    'draw_stage_spectra',
    'show_layer',
]

FREQUENCY = 'cycles per pixel'


def draw_filters(
    title: str, layers: Sequence[tuple[Spectrum, Tensor]], channels: int, noun: str
) -> Figure:
    """Magnitude, phase and impulse response of a few filters, a row per layer.

    Args:
        title (str): Title of the figure.
        layers (Sequence): From :func:`mmfreq.analysis.spectra.filters.stored_filters`.
        channels (int): Number of filters shown of each layer, evenly spaced.
        noun (str): What a filter belongs to, ``'channel'`` or ``'filter'``.

    Returns:
        Figure: The first columns are magnitudes and impulse responses of all filters of the layer,
        their root mean squares.
    """
    columns = 2 + 3 * channels
    figure, axes = _grid(len(layers), columns, title)
    for row, (spectrum, kernels) in zip(axes, layers, strict=True):
        magnitude = spectrum.values.abs()
        count = len(kernels)
        show_layer(row[0], row[1], spectrum, kernels)
        name = re.sub(r'(blocks\.\d+)\.', r'\1\n', spectrum.name)  # has no room in one line
        row[0].set_title(f'{name}\nall magnitudes', fontsize=8)
        row[1].set_title('all kernels', fontsize=8)
        chosen = [round(i * (count - 1) / max(channels - 1, 1)) for i in range(channels)]
        for i, number in enumerate(chosen):
            panel = row[2 + 3 * i : 5 + 3 * i]
            _show_spectrum(panel[0], magnitude[number], spectrum, 'viridis')
            _show_spectrum(panel[1], spectrum.values[number].angle(), spectrum, 'twilight', np.pi)
            _show_kernel(panel[2], kernels[number])
            for ax, what in zip(panel, ('magnitude', 'phase (rad)', 'kernel'), strict=True):
                ax.set_title(f'{noun} {number}\n{what}', fontsize=8)
    return figure


def show_layer(left: Axes, right: Axes, spectrum: Spectrum, kernels: Tensor) -> None:
    """Root mean square over all filters of a layer.

    Args:
        left (Axes): Where magnitudes are shown.
        right (Axes): Where impulse responses are shown.
        spectrum (Spectrum): Filters of the layer.
        kernels (Tensor): Their impulse responses, shape ``(N, H, W)``.
    """
    magnitude = spectrum.values.abs().square().mean(0).sqrt()
    _show_spectrum(left, magnitude, spectrum, 'viridis')
    _show_kernel(right, kernels.square().mean(0).sqrt(), 'viridis')


def draw_masks(title: str, images: Sequence[np.ndarray], masks: Sequence[Spectrum]) -> Figure:
    """Masks for images, a row per image.

    Args:
        title (str): Title of the figure.
        images (Sequence[np.ndarray]): RGB images.
        masks (Sequence[Spectrum]): From :func:`mmfreq.analysis.spectra.filters.masks_for`.

    Returns:
        Figure: The first column shows the images.
    """
    figure, axes = _grid(len(images), 1 + len(masks), title)
    for i, row in enumerate(axes):
        _show_image(row[0], images[i])
        for ax, mask in zip(row[1:], masks, strict=True):
            _show_spectrum(ax, mask.values[i], mask, 'viridis')
            ax.set_title(f'{mask.name}\nmean magnitude', fontsize=8)
    return figure


def draw_decays(title: str, layers: Sequence[Spectrum]) -> Figure:
    """Decays of heat conduction, a panel per layer.

    Args:
        title (str): Title of the figure.
        layers (Sequence[Spectrum]): From :func:`mmfreq.analysis.spectra.filters.stored_decays`.

    Returns:
        Figure: Bright frequencies pass, dark ones are taken out.
    """
    figure, axes = _row_of_panels(1, len(layers), title)
    for layer, ax in zip(layers, axes[0], strict=True):
        shown = ax.imshow(layer.values[0], extent=(0, 0.5, 0, 0.5), origin='lower', vmin=0, vmax=1)
        ax.set_title(layer.name, fontsize=8)
        ax.set_xlabel(FREQUENCY, fontsize=9)
    figure.colorbar(shown, ax=list(axes[0]), label='factor, mean over channels')
    return figure


def draw_gains(title: str, images: Sequence[np.ndarray], gains: Gains) -> Figure:
    """Numbers that a network computes for images, a table of colours for each image.

    Args:
        title (str): Title of the figure.
        images (Sequence[np.ndarray]): RGB images.
        gains (Gains): From :func:`mmfreq.analysis.spectra.filters.gains_for`.

    Returns:
        Figure: Below each image a table with a row per layer.
    """
    height = 2.2 + 0.22 * len(gains.layers)
    figure, axes = plt.subplots(
        2,
        len(images),
        figsize=(3 + 2.6 * len(images), height),
        height_ratios=[1.6, 0.22 * len(gains.layers)],
        squeeze=False,
        layout='constrained',
    )
    figure.suptitle(f'{title}\n{gains.title}', fontsize=11)
    low, high = float(gains.values.min()), float(gains.values.max())
    if low == high:  # as in a network that was just converted
        low, high = low - 0.1, high + 0.1
    for i, (top, bottom) in enumerate(axes.T):
        _show_image(top, images[i])
        shown = bottom.imshow(
            gains.values[i], vmin=low, vmax=high, aspect='auto', interpolation='nearest'
        )
        bottom.set_xticks(range(len(gains.columns)), gains.columns, rotation=60, fontsize=8)
        names = gains.layers if i == 0 else [''] * len(gains.layers)
        bottom.set_yticks(range(len(names)), names, fontsize=7)
    figure.colorbar(shown, ax=list(axes[1]), label='value')
    return figure


def draw_stage_spectra(title: str, spectra: Sequence[Spectrum]) -> Figure:
    """Amplitudes of an image and of the maps that a network makes of it, side by side.

    Args:
        title (str): Title of the figure.
        spectra (Sequence[Spectrum]): From
            :func:`mmfreq.analysis.spectra.stages.spectra_of_stages`; the first image is drawn.

    Returns:
        Figure: Logarithms of amplitudes relative to the largest, on one scale.
    """
    figure, axes = _row_of_panels(1, len(spectra), title)
    for spectrum, ax in zip(spectra, axes[0], strict=True):
        amplitude = spectrum.values[0]
        relative = (amplitude / amplitude.max()).clamp(min=1e-4).log10()
        shown = ax.imshow(relative, extent=_extent(spectrum), origin='lower', vmin=-4, vmax=0)
        ax.set_title(spectrum.name, fontsize=10)
        ax.set_xlabel(FREQUENCY, fontsize=9)
    figure.colorbar(shown, ax=list(axes[0]), label='log10 of amplitude / largest')
    return figure


def draw_stage_filters(title: str, stages: dict[str, list[Spectrum]]) -> Figure:
    """Gains of filters, a column for each stage.

    Args:
        title (str): Title of the figure.
        stages (dict[str, list[Spectrum]]): From
            :func:`mmfreq.analysis.spectra.stages.filters_of_stages`.

    Returns:
        Figure: Above the mean over the layers of a stage, below a curve for each layer.
    """
    figure, axes = _row_of_panels(2, len(stages), title)
    colours = plt.get_cmap('viridis')
    for (name, layers), (top, bottom) in zip(stages.items(), axes.T, strict=True):
        mean = mean_of_layers(layers)
        shown = top.imshow(mean.values, extent=_extent(mean), origin='lower')
        height, width = mean.values.shape
        top.set_title(f'{name}: filters of {width} x {height}', fontsize=10)
        top.set_xlabel(FREQUENCY, fontsize=9)
        figure.colorbar(shown, ax=top, fraction=0.046, pad=0.04)
        for i, layer in enumerate(layers):
            colour = colours(i / max(len(layers) - 1, 1) * 0.9)
            bottom.plot(*gain_by_frequency(layer), 'o-', ms=3, lw=1.2, color=colour, label=str(i))
        bottom.set_xlabel(f'distance from 0 in {FREQUENCY}', fontsize=9)
        highest = max(float(gain_by_frequency(layer)[1].max()) for layer in layers)
        bottom.set_ylim(0, 1.1 * highest or 1)
        bottom.grid(alpha=0.3)
        if len(layers) <= 6:
            bottom.legend(title='layer', fontsize=8, title_fontsize=8)
    axes[0, 0].set_ylabel('mean gain')
    axes[1, 0].set_ylabel('gain of each layer, first dark')
    return figure


def draw_amplitudes(models: dict[str, Sequence[AmplitudeCurve]]) -> Figure:
    """Relative log amplitude by frequency over depth, a column per network.

    Args:
        models (dict[str, Sequence[AmplitudeCurve]]): From
            :func:`mmfreq.analysis.spectra.fourier.amplitude_over_depth`, by name of the network.

    Returns:
        Figure: Above a curve per block, below the highest frequency over depth; side by side for a
        single network.
    """
    rows, columns = (2, len(models)) if len(models) > 1 else (1, 2)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 3.3 * rows), squeeze=False, layout='constrained'
    )
    axes = axes if len(models) > 1 else axes.T
    figure.suptitle('Amplitude of the feature maps relative to frequency 0')
    colours = plt.get_cmap('viridis')
    for (name, curves), (top, bottom) in zip(models.items(), axes.T, strict=True):
        for curve in curves:
            top.plot(curve.frequencies, curve.log_amplitude, color=colours(curve.depth), lw=1)
        top.set(title=name, xlabel='diagonal frequency / highest frequency')
        bottom.plot(
            [curve.depth for curve in curves],
            [float(curve.log_amplitude[-1]) for curve in curves],
            'o-',
            ms=3,
        )
        bottom.set(xlabel='depth of the block (0 first, 1 last)')
        for ax in (top, bottom):
            ax.grid(alpha=0.3)
    axes[0, 0].set_ylabel('log amplitude - log amplitude at 0')
    axes[1, 0].set_ylabel('the same at the highest frequency')
    for row in axes:  # the same scale side by side
        limits = [ax.get_ylim() for ax in row]
        for ax in row:
            ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    depth = plt.cm.ScalarMappable(cmap=colours)
    figure.colorbar(depth, ax=list(axes[0]), label='depth of the block')
    return figure


def draw_fields(fields: dict[str, Tensor]) -> Figure:
    """Effective receptive fields, a panel per network.

    Args:
        fields (dict[str, Tensor]): By name of the network, from
            :func:`mmfreq.analysis.spectra.fourier.effective_receptive_field`.

    Returns:
        Figure: Magnitudes relative to the largest, on a logarithmic scale.
    """
    figure, axes = plt.subplots(
        1, len(fields), figsize=(4 * len(fields) + 0.6, 4.3), squeeze=False, layout='constrained'
    )
    figure.suptitle('Effective receptive field: gradient of the centre of the last map')
    for (name, field), ax in zip(fields.items(), axes[0], strict=True):
        relative = (field / field.max()).clamp(min=1e-4)
        shown = ax.imshow(relative.log10(), cmap='magma', vmin=-4, vmax=0)
        side = field_side(field, 0.5)
        ax.set_title(f'{name}\nhalf of it in a square of {side:.0%} of the side', fontsize=10)
        ax.set(xlabel='pixels', ylabel='pixels')
    figure.colorbar(shown, ax=list(axes[0]), label='log10 of the gradient / its maximum')
    return figure


def _row_of_panels(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    """A few large panels."""
    size = (2.9 * columns + 1, 2.9 * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout='constrained')
    figure.suptitle(title)
    for ax in axes.flat:
        ax.tick_params(labelsize=8)
    return figure, axes


def _extent(spectrum: Spectrum) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a picture whose pixels are centred on their frequencies."""
    (left, right), (bottom, top) = (
        (float(axis[0]) - 0.5 / len(axis), float(axis[-1]) + 0.5 / len(axis))
        for axis in (spectrum.columns, spectrum.rows)
    )
    return left, right, bottom, top


def _grid(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    """Panels with room for titles, labels and a colour bar each."""
    width, height = 2.5 * columns, 2.4 * rows + 1.1
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    figure.suptitle(title, y=1 - 0.2 / height)
    figure.subplots_adjust(
        left=0.5 / width,
        right=1 - 0.9 / width,
        bottom=0.5 / height,
        top=1 - 1.2 / height,
        wspace=0.5,
        hspace=0.55,
    )
    return figure, axes


def _show_spectrum(
    ax: Axes, values: Tensor, spectrum: Spectrum, colours: str, limit: float | None = None
) -> None:
    """Show values with frequency zero in the middle, pixels centred on their frequencies."""
    low = None if limit is None else -limit
    shown = ax.imshow(
        values,
        extent=_extent(spectrum),
        origin='lower',
        cmap=colours,
        vmin=low,
        vmax=limit,
    )
    ax.set_xlabel(FREQUENCY, fontsize=7)
    ax.tick_params(labelsize=6)
    _add_colour_bar(ax, shown)


def _show_kernel(ax: Axes, kernel: Tensor, colours: str = 'RdBu_r') -> None:
    height, width = kernel.shape
    limit = float(kernel.abs().max()) or 1.0
    low = -limit if colours == 'RdBu_r' else float(kernel.min())
    left, top = -(width // 2) - 0.5, -(height // 2) - 0.5
    extent = (left, left + width, top + height, top)
    shown = ax.imshow(kernel, extent=extent, cmap=colours, vmin=low, vmax=limit)
    ax.set_xlabel('pixels of the map', fontsize=7)
    ax.tick_params(labelsize=6)
    _add_colour_bar(ax, shown)


def _show_image(ax: Axes, image: np.ndarray) -> None:
    ax.imshow(image)
    ax.set_title('image', fontsize=8)
    ax.set_axis_off()


def _add_colour_bar(ax: Axes, shown: plt.cm.ScalarMappable) -> None:
    bar = ax.figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.04)
    bar.ax.tick_params(labelsize=6)
