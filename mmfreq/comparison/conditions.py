"""Trained networks, tested under other conditions: sizes, noise, options of the network."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmfreq.analysis.comparisons.summary import score_of
from mmfreq.analysis.speed.results import describe_machine
from mmfreq.comparison.processes import alone, commit, run_mmfreq
from mmfreq.comparison.recipe import Condition
from mmfreq.comparison.runs import Run
from mmfreq.engine.config_options import read_with_options
from mmfreq.utils.atomic import atomic_write

__all__ = ['Trial', 'perform_trial', 'trials_of']


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
