"""Trained networks, tested under other conditions: sizes, noise, options of the network."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope

from mmfreq.analysis.comparisons.summary import score_of
from mmfreq.comparison.processes import alone, circumstances, commit, run_mmfreq
from mmfreq.comparison.recipe import Condition
from mmfreq.comparison.runs import Run
from mmfreq.engine.config_errors import explain
from mmfreq.engine.config_options import read_with_options
from mmfreq.engine.data_roots import as_arguments
from mmfreq.utils.atomic import atomic_write
from mmfreq.utils.config_tree import dicts_in

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
        """What came of it; None before it is done, and when condition or run are others now."""
        path = self.folder / 'result.json'
        result = json.loads(path.read_text()) if path.is_file() else {}
        return result if self._origin.items() <= result.items() else None

    @property
    def _origin(self) -> dict[str, Any]:
        """What the result belongs to: the condition, and the checkpoint by step and score."""
        change = dict(options=self.condition.options, transforms=self.condition.transforms)
        run = self.run.result or {}
        return dict(
            change=json.dumps(change, sort_keys=True),
            best_step=run.get('best_step'),
            as_trained=score_of(run) if run else None,
        )

    def config_text(self) -> str:
        """The run's config with the condition's options and transforms.

        Raises:
            ValueError: If they change nothing about the test, or cannot be.
        """
        plain = self._read(self.run.recipe.options)
        cfg = self._read({**self.run.recipe.options, **self.condition.options})
        found = [node for _, node in dicts_in(cfg.test_dataloader.dataset) if 'pipeline' in node]
        if self.condition.transforms and not found:
            raise ValueError(f'{self}: the data set of the test has no pipeline for transforms')
        for node in found:
            *steps, last = node['pipeline']  # the last one packs what the network gets
            node['pipeline'] = [*steps, *self.condition.transforms, last]
        keys = ('model', 'test_dataloader', 'test_evaluator', 'test_cfg')
        if all(cfg.get(key) == plain.get(key) for key in keys):
            raise ValueError(f'{self}: the options change nothing about the test')
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
            for transform in self.condition.transforms:
                try:
                    TRANSFORMS.build(transform)
                except (KeyError, TypeError, ValueError, ImportError) as error:
                    raise ValueError(f'{self}: {explain(error) or error}') from error
        return Config(cfg.to_dict()).pretty_text

    def _read(self, options: dict[str, Any]) -> Any:
        cfg: Any = read_with_options(self.run.config, options)
        if cfg.get('test_dataloader') is None:  # as in the run, the validation set counts
            for part in ('dataloader', 'evaluator', 'cfg'):
                cfg[f'test_{part}'] = cfg[f'val_{part}']
        return cfg

    @property
    def command(self) -> list[str]:
        """Arguments of ``mmfreq``."""
        return [
            'test',
            str(self.folder / 'config.py'),
            str(self.run.checkpoint),
            *('--work-dir', str(self.folder / 'test')),
            *as_arguments(self.run.roots),
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
    """Test and note a trial.

    Args:
        trial (Trial): The trial.

    Returns:
        int: 0 when it is done, when its run is not, or when another process is at it; the exit
        status of a test that failed.

    Raises:
        ValueError: If the metric was not logged, the config has changed since the run began, or the
            condition cannot be.
    """
    run = trial.run
    with alone(trial.folder / 'lock', run.result is not None) as lock:
        if lock is None or run.result is None or trial.result is not None:
            return 0
        run.check_unchanged()
        (trial.folder / 'result.json').unlink(missing_ok=True)
        with atomic_write(trial.folder / 'config.py') as file:
            file.write(trial.config_text().encode())
        status = run_mmfreq(trial.command, trial.folder, lock)
        if status:
            return status
        logged = json.loads(max(trial.folder.glob('test/*/*.json')).read_text())
        if run.recipe.metric not in logged:
            raise ValueError(f'the test of {trial} has not logged {run.recipe.metric}')
        result = dict(
            name=run.name,
            seed=run.seed,
            condition=trial.name,
            metric=run.recipe.metric,
            value=logged[run.recipe.metric],
            **trial._origin,
            **circumstances(),
            commit=commit(),
            command=shlex.join(['mmfreq', *trial.command]),
        )
        with atomic_write(trial.folder / 'result.json') as file:
            file.write(json.dumps(result, indent=1).encode())
        return 0
