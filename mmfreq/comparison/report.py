"""A comparison as tables, curves and a sheet of predictions."""

import csv
import io
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
from tabulate import tabulate

from mmfreq.comparison.results import FIELDS, Summary, score_of
from mmfreq.comparison.runs import Run
from mmfreq.inference.drawing import blend, sheet
from mmfreq.inference.model import init_model
from mmfreq.inference.predict import predict
from mmfreq.inference.results import Classification, Segmentation
from mmfreq.utils.atomic import atomic_write

__all__ = ['curves', 'runs_csv', 'samples', 'save_figure', 'scores', 'table']

NUM_SAMPLES = 4
OPACITY = 0.55  # of colours, as in overlays


def table(summaries: Sequence[Summary], metric: str, is_tested: bool) -> str:
    """A line for each network.

    Args:
        summaries (Sequence[Summary]): From :func:`mmfreq.comparison.results.summarize`.
        metric (str): Name of the metric.
        is_tested (bool): Whether scores are those of a test set.

    Returns:
        str: Table in Markdown.
    """
    first = summaries[0].name
    header = (
        'network',
        'parameters',
        'runs',
        f'{metric}, val, best',
        f'{metric}, {"test" if is_tested else "val"}',
        f'difference to {first}',
        's per step',
    )
    digits = 2 if max(abs(summary.score) for summary in summaries) > 1 else 4  # AP is a share
    rows = []
    for summary in summaries:
        difference = f'{summary.difference:+.{digits}f}{_plus_minus(summary.error, digits)}'
        rows.append(
            (
                summary.name,
                f'{summary.params / 1e6:.2f} M',
                summary.seeds,
                f'{summary.val:.{digits}f}',
                f'{summary.score:.{digits}f}{_plus_minus(summary.spread, digits)}',
                '' if summary.name == first else difference,
                f'{summary.step_s:.2f}',
            )
        )
    return tabulate(rows, header, tablefmt='github', disable_numparse=True)


def runs_csv(results: Sequence[dict[str, Any]]) -> str:
    """A line for each run; its curve as ``step:value`` pairs."""
    file = io.StringIO()
    writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
    writer.writeheader()
    for result in results:
        curve = ' '.join(f'{step}:{value:g}' for step, value in result['curve'])
        writer.writerow({**result, 'curve': curve})
    return file.getvalue()


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


def _plus_minus(spread: float, digits: int) -> str:
    return '' if math.isnan(spread) else f' ± {spread:.{digits}f}'
