"""A comparison as curves, bars and sheets of predictions; tables are in mmfreq.analysis."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.registry import DATASETS, init_default_scope
from numpy.typing import NDArray

from mmfreq.analysis.comparisons.summary import (
    Summary,
    average_of,
    complete,
    conditions_of,
    score_of,
    under,
)
from mmfreq.comparison.runs import Run
from mmfreq.inference.drawing import blend, sheet
from mmfreq.inference.model import init_model
from mmfreq.inference.predict import predict
from mmfreq.inference.results import Classification, Segmentation
from mmfreq.utils.atomic import atomic_write

__all__ = ['curves', 'draw_trials', 'samples', 'save_figure', 'scores']

NUM_SAMPLES = 4
OPACITY = 0.55  # of colours, as in overlays


def curves(results: Sequence[dict[str, Any]], names: Sequence[str]) -> Figure:
    """The metric on the validation set during training: each run thin, their mean thick.

    Args:
        results (Sequence[dict]): Results of runs.
        names (Sequence[str]): Networks in the order of the legend.

    Returns:
        Figure: The figure.
    """
    figure, axes = plt.subplots(figsize=(8, 5), layout='constrained')
    colours = plt.get_cmap('tab20' if len(names) > 10 else 'tab10')
    for i, name in enumerate(names):
        runs = [dict(result['curve']) for result in results if result['name'] == name]
        for run in runs:
            points = list(run), list(run.values())
            axes.plot(*points, '.-', color=colours(i % colours.N), linewidth=0.5, alpha=0.5)
        common = sorted(set.intersection(*map(set, runs))) if runs else []
        means = [np.mean([run[step] for run in runs]) for step in common]
        axes.plot(common, means, color=colours(i % colours.N), linewidth=2, label=name)
    axes.set(xlabel='iterations or epochs', ylabel=f'{results[0]["metric"]} on the validation set')
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small', ncols=1 + len(names) // 8)
    return figure


def scores(results: Sequence[dict[str, Any]], summaries: Sequence[Summary]) -> Figure:
    """Mean scores as bars, best first, and a point for each run."""
    ordered = sorted(summaries, key=lambda summary: summary.score)
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.4 * len(ordered)), layout='constrained')
    for y, summary in enumerate(ordered):
        axes.barh(y, summary.score, color='#9db8d9')
        runs = [score_of(result) for result in results if result['name'] == summary.name]
        axes.plot(runs, [y] * len(runs), 'o', color='#1f3b63', markersize=4)
    labels = [f'{summary.name} ({summary.params / 1e6:.1f} M)' for summary in ordered]
    axes.set_yticks(range(len(ordered)), labels)
    is_tested = any(result['test'] is not None for result in results)
    axes.set_xlabel(f'{results[0]["metric"]} on the {"test" if is_tested else "validation"} set')
    axes.grid(axis='x', alpha=0.3)
    return figure


def samples(runs: Sequence[Run]) -> NDArray[np.uint8] | None:
    """Predictions of several networks for the same images of the test set.

    Args:
        runs (Sequence[Run]): Runs that are done, one of each network; configs of the same data.

    Returns:
        NDArray | None: RGB image: a row for each image, behind it the truth (of segmentations) and
        a column for each network. None if the data set has no files of images.
    """
    cfg = runs[0].read_config()
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    data = DATASETS.build((cfg.get('test_dataloader') or cfg.val_dataloader).dataset)
    chosen = np.linspace(0, len(data) - 1, min(NUM_SAMPLES, len(data))).astype(int).tolist()
    paths = [data.get_data_info(i).get('img_path') for i in chosen]
    if None in paths:
        return None
    columns: dict[str, list[NDArray[np.uint8]]] = {}
    for run in runs:
        model: Any = init_model(run.read_config(), str(run.checkpoint))
        with torch.no_grad():
            predictions = predict(model, paths)
        if not columns:
            columns['image'] = [prediction.image for prediction in predictions]
            if isinstance(predictions[0], Segmentation):
                pairs = zip(chosen, predictions, strict=True)
                columns['truth'] = [_truth(data[i], prediction) for i, prediction in pairs]
        columns[run.name] = [
            prediction.draw() if isinstance(prediction, Classification) else prediction.overlay()
            for prediction in predictions
        ]
    return sheet(list(zip(*columns.values(), strict=True)), list(columns), 240)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure and close it."""
    with atomic_write(path) as file:
        figure.savefig(file, dpi=150, format=path.suffix[1:])
    plt.close(figure)


def _truth(item: dict[str, Any], prediction: Segmentation) -> NDArray[np.uint8]:
    labels = item['data_samples'].gt_sem_seg.data[0].numpy().astype(np.int64)
    labels = np.where(labels == 255, -1, labels)  # -1 is no class
    return blend(prediction.image, labels, prediction.palette, OPACITY)


def draw_trials(results: Sequence[dict[str, Any]], names: Sequence[str]) -> Figure:
    """How much of its score each network keeps under each condition.

    Args:
        results (Sequence[dict]): Results of trials.
        names (Sequence[str]): Networks in the order of the columns.

    Returns:
        Figure: A row for each condition, a column for each network; means over the seeds relative
        to those as trained.
    """
    results = complete(results)
    conditions = conditions_of(results)
    kept = np.full((len(conditions), len(names)), math.nan)
    for (row, condition), (column, name) in itertools.product(
        enumerate(conditions), enumerate(names)
    ):
        found = under(results, condition)
        plain = average_of(found, name, 'as_trained')
        if plain:
            kept[row, column] = average_of(found, name, 'value') / plain
    size = (2.5 + 0.75 * len(names), 1.8 + 0.32 * len(kept))
    figure, axes = plt.subplots(figsize=size, layout='constrained')
    shown = axes.imshow(kept, vmin=0, vmax=max(1, np.nanmax(kept)), cmap='viridis', aspect='auto')
    for row, column in np.argwhere(~np.isnan(kept)):
        share = kept[row, column]
        colour = 'black' if share > 0.6 else 'white'
        axes.text(column, row, f'{share:.0%}', ha='center', va='center', fontsize=8, color=colour)
    axes.set_xticks(range(len(names)), names, rotation=40, ha='right')
    axes.set_yticks(range(len(kept)), conditions)
    axes.set_title(f'{results[0]["metric"]} relative to that as trained', fontsize=10)
    figure.colorbar(shown, ax=axes)
    return figure
