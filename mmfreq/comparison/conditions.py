"""Trained networks, tested under other conditions: sizes, noise, options of the network."""

import csv
import io
import itertools
import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from tabulate import tabulate

from mmfreq.analysis.speed.results import describe_machine
from mmfreq.comparison.processes import alone, commit, run_mmfreq
from mmfreq.comparison.recipe import Condition
from mmfreq.comparison.results import score_of
from mmfreq.comparison.runs import Run
from mmfreq.engine.config_options import read_with_options
from mmfreq.utils.atomic import atomic_write

__all__ = ['Trial', 'draw_trials', 'perform_trial', 'trials_csv', 'trials_of', 'trials_table']


@dataclass(frozen=True)
class Trial:
    """The best checkpoint of a run under one condition.

    Attributes:
        run (Run): The run.
        name (str): Name of the condition in the recipe.
        condition (Condition): The condition.
    """

    run: Run
    name: str
    condition: Condition

    def __str__(self) -> str:
        return f'{self.run}, {self.name}'

    @property
    def folder(self) -> Path:
        """Where all of it is written."""
        return self.run.folder / 'conditions' / self.name

    @property
    def result(self) -> dict[str, Any] | None:
        """What came of it, None before it is done, and when the condition has changed since."""
        path = self.folder / 'result.json'
        result = json.loads(path.read_text()) if path.is_file() else {}
        return result if result.get('change') == self.change else None

    @property
    def change(self) -> str:
        """The condition as a text."""
        change = dict(options=self.condition.options, transforms=self.condition.transforms)
        return json.dumps(change)

    def config_text(self) -> str:
        """The run's config with the condition's options and transforms."""
        options = {**self.run.recipe.options, **self.condition.options}
        cfg: Any = read_with_options(self.run.config, options)
        if cfg.get('test_dataloader') is None:  # as in the run, the validation set counts
            for part in ('dataloader', 'evaluator', 'cfg'):
                cfg[f'test_{part}'] = cfg[f'val_{part}']
        pipeline = list(cfg.test_dataloader.dataset.pipeline)
        cfg.test_dataloader.dataset.pipeline = [
            *pipeline[:-1],
            *self.condition.transforms,
            pipeline[-1],  # packs what the network gets
        ]
        return Config(cfg.to_dict()).pretty_text

    @property
    def command(self) -> list[str]:
        """Arguments of ``mmfreq``."""
        return [
            'test',
            str(self.folder / 'config.py'),
            str(self.run.checkpoint),
            *('--work-dir', str(self.folder / 'test')),
            *(part for root in self.run.data_roots for part in ('--data-root', root)),
        ]


def trials_of(runs: Sequence[Run]) -> list[Trial]:
    """The trials of all runs, run by run.

    Args:
        runs (Sequence[Run]): Runs of a recipe.

    Returns:
        list[Trial]: One for each run and condition that its network is named in.
    """
    return [
        Trial(run, name, condition)
        for run in runs
        for name, condition in run.recipe.conditions.items()
        if not condition.networks or run.name in condition.networks
    ]


def perform_trial(trial: Trial) -> int:
    """Test and note a trial of a run that is done.

    Args:
        trial (Trial): The trial.

    Returns:
        int: 0 when it is done, or when another process is at it; the exit status of a test that
        failed.

    Raises:
        ValueError: If the metric was not logged.
    """
    with alone(trial.folder / 'lock', True) as lock:
        if lock is None or trial.result is not None:
            return 0
        (trial.folder / 'result.json').unlink(missing_ok=True)
        with atomic_write(trial.folder / 'config.py') as file:
            file.write(trial.config_text().encode())
        status = run_mmfreq(trial.command, trial.folder, lock)
        if status:
            return status
        run, metric = trial.run, trial.run.recipe.metric
        logged = json.loads(max(trial.folder.glob('test/*/*.json')).read_text())
        if metric not in logged:
            raise ValueError(f'the test of {trial} has not logged {metric}')
        result = dict(
            name=run.name,
            seed=run.seed,
            condition=trial.name,
            change=trial.change,
            metric=metric,
            value=logged[metric],
            as_trained=score_of(run.result or {}),
            date=datetime.now().date().isoformat(),
            machine=describe_machine('cuda' if torch.cuda.is_available() else 'cpu'),
            commit=commit(),
            command=shlex.join(['mmfreq', *trial.command]),
        )
        with atomic_write(trial.folder / 'result.json') as file:
            file.write(json.dumps(result, indent=1).encode())
        return 0


def trials_csv(results: Sequence[dict[str, Any]]) -> str:
    """A line for each trial that is done."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(results[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(results)
    return file.getvalue()


def trials_table(results: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """A line for each condition, a column for each network: means over the seeds.

    Args:
        results (Sequence[dict]): Results of trials.
        names (Sequence[str]): Networks in the order of the columns.

    Returns:
        str: Table in Markdown, its first line as trained.
    """
    rows = [('as trained', [_average(results, name, 'as_trained') for name in names])]
    for condition in _conditions(results):
        found = [result for result in results if result['condition'] == condition]
        rows.append((condition, [_average(found, name, 'value') for name in names]))
    digits = 2 if np.nanmax(rows[0][1]) > 1 else 4
    shown = [
        (name, *('' if math.isnan(value) else f'{value:.{digits}f}' for value in row))
        for name, row in rows
    ]
    return tabulate(shown, (results[0]['metric'], *names), tablefmt='github', disable_numparse=True)


def draw_trials(results: Sequence[dict[str, Any]], names: Sequence[str]) -> Figure:
    """How much of its score each network keeps under each condition.

    Args:
        results (Sequence[dict]): Results of trials.
        names (Sequence[str]): Networks in the order of the columns.

    Returns:
        Figure: A row for each condition, a column for each network; means over the seeds relative
        to those as trained.
    """
    conditions = _conditions(results)
    kept = np.full((len(conditions), len(names)), math.nan)
    for (row, condition), (column, name) in itertools.product(
        enumerate(conditions), enumerate(names)
    ):
        found = [result for result in results if result['condition'] == condition]
        kept[row, column] = _average(found, name, 'value') / _average(found, name, 'as_trained')
    size = (2.5 + 0.75 * len(names), 1.8 + 0.32 * len(kept))
    figure, axes = plt.subplots(figsize=size, layout='constrained')
    shown = axes.imshow(kept, vmin=0, vmax=1, cmap='viridis', aspect='auto')
    for row, column in np.argwhere(~np.isnan(kept)):
        share = kept[row, column]
        colour = 'black' if share > 0.6 else 'white'
        axes.text(column, row, f'{share:.0%}', ha='center', va='center', fontsize=8, color=colour)
    axes.set_xticks(range(len(names)), names, rotation=40, ha='right')
    axes.set_yticks(range(len(kept)), conditions)
    axes.set_title(f'{results[0]["metric"]} relative to that as trained', fontsize=10)
    figure.colorbar(shown, ax=axes)
    return figure


def _conditions(results: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(result['condition'] for result in results))


def _average(results: Sequence[dict[str, Any]], name: str, key: str) -> float:
    """Mean over the runs of a network, NaN without any."""
    runs = {result['seed']: result[key] for result in results if result['name'] == name}
    return mean(runs.values()) if runs else math.nan
