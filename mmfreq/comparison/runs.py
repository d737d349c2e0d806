"""The runs of a comparison: each is trained, tested once and noted."""

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from mmengine.config import Config

from mmfreq.analysis.cost.flops import count_params
from mmfreq.analysis.speed.results import describe_machine
from mmfreq.comparison.recipe import Recipe
from mmfreq.engine.config_options import read_with_options
from mmfreq.engine.data_roots import set_data_root
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
        data_root (str, optional): Folder of the data set in place of the config's.
    """

    name: str
    seed: int
    config: str
    folder: Path
    recipe: Recipe
    data_root: str | None = None

    def __str__(self) -> str:
        return f'{self.name}, seed {self.seed}'

    @property
    def result(self) -> dict[str, Any] | None:
        """What came of it, None before it is done."""
        path = self.folder / 'result.json'
        return json.loads(path.read_text()) if path.is_file() else None

    def read_config(self) -> Config:
        """The config with the options of the recipe."""
        cfg = read_with_options(self.config, self.recipe.options)
        if self.data_root:
            set_data_root(cfg, self.data_root)
        return cfg

    def check_unchanged(self) -> None:
        """Note what is trained when it begins, and make sure later that it is still the same.

        Raises:
            ValueError: If config, options, metric or data have changed since the run began.
        """
        what = f'# seed {self.seed}, best by {self.recipe.rule} {self.recipe.metric}\n'
        what += self.read_config().pretty_text
        path = self.folder / 'config.py'
        if not path.is_file():
            with atomic_write(path) as file:
                file.write(what.encode())
        elif path.read_text() != what:
            raise ValueError(
                f'its config, or options, metric or data of the recipe, are not those that '
                f'it began with, see {path}; remove {self.folder} or use another --out'
            )

    @property
    def train_command(self) -> list[str]:
        """Arguments of ``mmfreq`` that train it, or go on with that."""
        chosen = {
            'randomness.seed': self.seed,
            'default_hooks.checkpoint.save_best': self.recipe.metric,
            'default_hooks.checkpoint.rule': self.recipe.rule,
            'default_hooks.checkpoint.max_keep_ckpts': 1,
        }
        return [*self._common('train'), '--resume', *self._options(chosen)]

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
        command = self._common('test')
        return [*command[:2], str(self.checkpoint), *command[2:], *self._options({})]

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

    def _common(self, action: str) -> list[str]:
        command = [action, self.config, '--work-dir', str(self.folder / action)]
        return command + (['--data-root', self.data_root] if self.data_root else [])

    def _options(self, chosen: dict[str, Any]) -> list[str]:
        options = {**self.recipe.options, **chosen}
        if not options:
            return []
        return ['--cfg-options', *(f'{key}={_as_text(value)}' for key, value in options.items())]


def runs_of(recipe: Recipe, out: Path, data_root: str | None = None) -> list[Run]:
    """All runs of a comparison, seed by seed, so that each network has a result early.

    Args:
        recipe (Recipe): The recipe.
        out (Path): Folder of the comparison.
        data_root (str, optional): Folder of the data set. Defaults to None: the configs'.

    Returns:
        list[Run]: The runs.
    """
    return [
        Run(name, seed, config, out / name / f'seed_{seed}', recipe, data_root)
        for seed in recipe.seeds
        for name, config in recipe.configs.items()
    ]


def perform(run: Run, launcher: str = 'none') -> int:
    """Train, test and note a run, or what is left of it.

    Args:
        run (Run): The run.
        launcher (str): As for ``mmfreq train``; of several processes the first one tests.
            Defaults to ``'none'``.

    Returns:
        int: 0 when it is done, or when another process is at it; the exit status of a training or
        test that failed, :data:`mmfreq.preemption.REQUEUE` of one that was asked to stop.

    Raises:
        ValueError: If what it trains has changed since it began.
    """
    is_first = os.environ.get('SLURM_PROCID', '0') == '0'
    with _alone(run.folder / 'lock', launcher == 'none') as is_mine:
        if not is_mine:
            return 0
        run.check_unchanged()
        if run.result is not None:
            return 0
        trained = run.folder / 'trained'
        if not trained.is_file():
            began = time.monotonic()
            status = _mmfreq([*run.train_command, '--launcher', launcher], run.folder)
            if is_first:
                with (run.folder / 'seconds').open('a') as file:
                    print(f'{time.monotonic() - began:.1f}', file=file)
            if status:
                return status
        if not is_first:
            return 0
        trained.touch()
        cfg = run.read_config()
        if cfg.get('test_dataloader') is not None:
            status = _mmfreq(run.test_command, run.folder)
            if status:
                return status
        wall, step = run.seconds()
        curve = run.curve()
        best = (max if run.recipe.rule == 'greater' else min)(curve, key=lambda item: item[1])
        result = dict(
            name=run.name,
            seed=run.seed,
            metric=run.recipe.metric,
            params=count_params(build_model(cfg)),
            val=best[1],
            best_step=best[0],
            test=run.tested().get(run.recipe.metric),
            steps=curve[-1][0],
            wall_s=round(wall),
            step_s=step,
            date=datetime.now().date().isoformat(),
            machine=describe_machine('cuda' if torch.cuda.is_available() else 'cpu'),
            commit=_commit(),
            command=shlex.join(['mmfreq', *run.train_command]),
            curve=curve,
        )
        with atomic_write(run.folder / 'result.json') as file:
            file.write(json.dumps(result, indent=1).encode())
        return 0


def _mmfreq(arguments: Sequence[str], folder: Path) -> int:
    """Run a sub-command, its output in a log; requests to stop are handed on to it."""
    with (folder / 'output.log').open('ab') as log:
        process = subprocess.Popen(
            [sys.executable, '-m', 'mmfreq', *arguments], stdout=log, stderr=subprocess.STDOUT
        )

        def hand_on(number: int, _: FrameType | None) -> None:
            process.send_signal(number)

        before = {
            number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGUSR1)
        }
        try:
            return process.wait()
        except KeyboardInterrupt:  # which the terminal has sent to it, too
            process.wait()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _alone(path: Path, wanted: bool) -> Iterator[bool]:
    """Hold a file's lock, if it is wanted; several processes can go through one list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a') as file:
        try:
            if wanted:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _commit() -> str:
    """State of the repository that this package is in, ``''`` where it is installed."""
    folder = Path(__file__).parent
    command = ['git', 'describe', '--always', '--dirty', '--abbrev=10']
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stdout.strip()


def _as_text(value: Any) -> str:
    """A value as ``--cfg-options`` takes it."""
    if isinstance(value, list | tuple):
        return f'({",".join(map(_as_text, value))}{"," if len(value) == 1 else ""})'
    return str(value)
