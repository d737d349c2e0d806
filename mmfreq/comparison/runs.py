"""The runs of a comparison: each is trained, tested once and noted."""

import json
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfreq.analysis.cost.flops import count_params
from mmfreq.comparison.processes import alone, circumstances, commit, run_mmfreq
from mmfreq.comparison.recipe import Recipe
from mmfreq.engine.config_options import read_with_options
from mmfreq.engine.data_roots import as_arguments, set_data_root
from mmfreq.utils.atomic import atomic_write
from mmfreq.utils.errors import CheckpointError
from mmfreq.zoo import build_model

__all__ = ['Run', 'perform', 'runs_of']


@dataclass(frozen=True)
class Run:
    """One network, trained with one seed.

    Attributes:
        name (str): Name of the network in the recipe.
        seed (int): The seed.
        config (str): Path or name of the config.
        folder (Path): Where all of it is written.
        recipe (Recipe): The recipe.
        data_roots (tuple[str, ...]): As ``--data-root`` of ``mmfreq train``.
    """

    name: str
    seed: int
    config: str
    folder: Path
    recipe: Recipe
    data_roots: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f'{self.name}, seed {self.seed}'

    @property
    def result(self) -> dict[str, Any] | None:
        """What came of it, None before it is done."""
        path = self.folder / 'result.json'
        return json.loads(path.read_text()) if path.is_file() else None

    @property
    def config_file(self) -> Path:
        """The config with the options of the recipe, as it is trained."""
        return self.folder / 'config.py'

    def read_config(self) -> Config:
        """The same with the folder of the data."""
        cfg = Config.fromfile(self.config_file)
        if self.roots:
            set_data_root(cfg, list(self.roots))
        return cfg

    @property
    def roots(self) -> Sequence[str]:
        """``data_roots``, or those that it was trained with where none are given."""
        return self.data_roots or (self.result or {}).get('data_roots', ())

    def check_unchanged(self) -> None:
        """Note what is trained when it begins, and make sure later that it is still the same.

        Raises:
            ValueError: If config, options or metric have changed since the run began.
        """
        what = f'# seed {self.seed}, best by {self.recipe.rule} {self.recipe.metric}\n'
        what += read_with_options(self.config, self.recipe.options).pretty_text
        with alone(self.folder / 'lock', True) as lock:
            began = any(self.folder.glob('train/*.pth')) or self.result is not None
            if lock is not None and not began:
                for path, text in ((self.folder / 'commit', commit()), (self.config_file, what)):
                    with atomic_write(path) as file:
                        file.write(text.encode())
        if self.config_file.read_text() != what:
            raise ValueError(
                f'its config, or options or metric of the recipe, are not those that {self} began '
                f'with, see {self.config_file}; name another folder with --out'
            )

    @property
    def train_command(self) -> list[str]:
        """Arguments of ``mmfreq`` that train it, or go on with that."""
        return [
            *self._command('train'),
            '--resume',
            '--cfg-options',
            f'randomness.seed={self.seed}',
            f'default_hooks.checkpoint.save_best={self.recipe.metric}',
            f'default_hooks.checkpoint.rule={self.recipe.rule}',
            'default_hooks.checkpoint.max_keep_ckpts=1',
        ]

    @property
    def checkpoint(self) -> Path:
        """The best checkpoint by the metric on the validation set.

        Raises:
            CheckpointError: If there is none.
        """
        found = sorted(
            self.folder.glob('train/**/best_*.pth'), key=lambda path: path.stat().st_mtime
        )
        if not found:
            raise CheckpointError(
                f'{self.folder / "train"} has no best checkpoint: does the validation log '
                f'{self.recipe.metric}?'
            )
        return found[-1]

    @property
    def test_command(self) -> list[str]:
        """Arguments of ``mmfreq`` that test the best checkpoint."""
        return self._command('test', str(self.checkpoint))

    def curve(self) -> list[tuple[int, float]]:
        """Steps of the training and the metric on the validation set, in order."""
        found: dict[int, float] = {}
        for line in self._scalars():
            if self.recipe.metric in line:
                found[int(line['step'])] = float(line[self.recipe.metric])
        return sorted(found.items())

    def seconds(self) -> tuple[float, float]:
        """Wall time of the training, without a part that was killed, and of one step."""
        parts = self.folder / 'seconds'
        total = sum(map(float, parts.read_text().split())) if parts.is_file() else 0.0
        steps = sorted(line['time'] for line in self._scalars() if 'loss' in line)
        return total, steps[len(steps) // 2] if steps else float('nan')

    def tested(self) -> dict[str, float]:
        """What the test logged; the test set need not exist."""
        logs = sorted(self.folder.glob('test/*/*.json'))
        return json.loads(logs[-1].read_text()) if logs else {}

    def _scalars(self) -> Iterator[dict[str, Any]]:
        for log in sorted(self.folder.glob('train/*/vis_data/scalars.json')):
            for line in log.read_text().splitlines():
                try:
                    yield json.loads(line)
                except ValueError:  # the last line of a process that was killed
                    continue

    def _command(self, action: str, *arguments: str) -> list[str]:
        command = [action, str(self.config_file), *arguments]
        command += ['--work-dir', str(self.folder / action)]
        return command + as_arguments(self.data_roots)


def runs_of(recipe: Recipe, out: Path, data_roots: Sequence[str] = ()) -> list[Run]:
    """All runs of a comparison, seed by seed, so that each network has a result early.

    Args:
        recipe (Recipe): The recipe.
        out (Path): Folder of the comparison.
        data_roots (Sequence[str]): As ``--data-root`` of ``mmfreq train``. Defaults to none.

    Returns:
        list[Run]: The runs.
    """
    return [
        Run(name, seed, config, out / name / f'seed_{seed}', recipe, tuple(data_roots))
        for seed in recipe.seeds
        for name, config in recipe.configs.items()
    ]


def perform(run: Run, launcher: str = 'none') -> int:
    """Train, test and note a run, or what is left of it.

    Args:
        run (Run): The run, after :meth:`Run.check_unchanged`.
        launcher (str): ``'slurm'`` in a job, of whose processes the first one tests. Defaults to
            ``'none'``.

    Returns:
        int: 0 when it is done, or when another process is at it, 1 in a job then; the exit status
        of a training or test that failed, :data:`mmfreq.preemption.REQUEUE` of one that was asked
        to stop.

    Raises:
        ValueError: If the metric was not logged.
    """
    in_job = launcher == 'slurm'
    is_first = not in_job or os.environ.get('SLURM_PROCID', '0') == '0'
    with alone(run.folder / 'lock', is_first) as lock:
        if lock is None:
            return 1 if in_job else 0
        trained = run.folder / 'trained'
        if run.result is not None or (trained.is_file() and not is_first):
            return 0
        if not trained.is_file():
            began = time.monotonic()
            try:
                status = run_mmfreq([*run.train_command, '--launcher', launcher], run.folder, lock)
            finally:
                if is_first:
                    with (run.folder / 'seconds').open('a') as file:
                        print(f'{time.monotonic() - began:.1f}', file=file)
            if status or not is_first:
                return status
            trained.touch()
        cfg = run.read_config()
        if cfg.get('test_dataloader') is not None:
            status = run_mmfreq(run.test_command, run.folder, lock)
            if status:
                return status
        with atomic_write(run.folder / 'result.json') as file:
            file.write(json.dumps(_result_of(run, cfg), indent=1).encode())
        return 0


def _result_of(run: Run, cfg: Config) -> dict[str, Any]:
    metric, curve = run.recipe.metric, run.curve()
    test = run.tested()
    if not curve or (cfg.get('test_dataloader') is not None and metric not in test):
        which = 'the test' if curve else 'the validation'
        raise ValueError(f'{which} of {run} has not logged {metric}, see {run.folder}/output.log')
    wall, step = run.seconds()
    best = (max if run.recipe.rule == 'greater' else min)(curve, key=lambda item: item[1])
    return dict(
        name=run.name,
        seed=run.seed,
        config=_from_here(run.config),
        metric=metric,
        params=count_params(build_model(cfg)),
        val=best[1],
        best_step=best[0],
        test=test.get(metric),
        steps=curve[-1][0],
        wall_s=round(wall),
        step_s=step,
        **circumstances(),
        commit=(run.folder / 'commit').read_text(),
        command=shlex.join(['mmfreq', *run.train_command]),
        data_roots=run.data_roots,
        curve=curve,
    )


def _from_here(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
