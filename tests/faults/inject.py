"""Break a training at random moments, go on with it each time, and compare it with a whole one.

A small segmentor is trained on real images by tools/dist_train.sh, two processes with two workers
each. Faults come at random moments of a run, also while it starts. After each one the same command
runs again with --resume. At the end weights and metric must be those of an uninterrupted run.

ADE20K_ROOT is a folder with images/ and annotations/. Filling a disk needs root, for a small tmpfs.
"""

import collections
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from process import ADE

from mmfreq.engine.command_line import make_parser
from mmfreq.engine.resume import find_checkpoints
from mmfreq.utils import read_checkpoint

STEPS, INTERVAL, FAULTS_PER_RUN = 120, 5, 10
OPTIONS = [
    'train_dataloader.num_workers=2',
    'train_dataloader.persistent_workers=True',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    f'train_cfg.max_iters={STEPS}',
    f'train_cfg.val_interval={STEPS // 2}',
    f'default_hooks.checkpoint.interval={INTERVAL}',
    'default_hooks.checkpoint.save_best=None',
    'randomness.seed=1',
    'optim_wrapper.optimizer.lr=0.001',
    'default_hooks.visualization.draw=False',
]
# As a config, since options on the command line cannot replace a name by a dict.
CONFIG = f"""
_base_ = {str(Path(ADE).resolve())!r}
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, patch_size=4, embed_dims=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
    ),
    decode_head=dict(in_channels=[8, 16, 24, 32], channels=16),
    auxiliary_head=dict(in_channels=24, channels=16),
)
"""


class Outcome(NamedTuple):
    """What one fault led to."""

    kind: str
    reached: int  # iteration at which the run ended
    resumed: int  # iteration from which it went on
    status: int
    last_line: str


class Training:
    """One training in a folder, started again and again."""

    def __init__(self, data: Path, work_dir: Path, port: int) -> None:
        self.data, self.work_dir, self.port = data, work_dir, port
        self.log = work_dir.parent / f'{work_dir.name}.log'
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        config = str(self.data.parent / 'small.py')
        command = ['bash', 'tools/dist_train.sh', config, '2', '--resume', '--pretrained', 'none']
        command += ['--work-dir', str(self.work_dir), '--data-root', str(self.data)]
        self.log.write_text('')
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [*command, '--cfg-options', *OPTIONS],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, 'PYTHON': sys.executable, 'MASTER_PORT': str(self.port)},
            )
        self.port += 1  # the former one can be busy for a while

    def processes(self) -> list[int]:
        """The launcher and all it started, by the folder on their command lines."""
        done = subprocess.run(['pgrep', '-f', f'{self.work_dir} '], capture_output=True, text=True)
        return [int(pid) for pid in done.stdout.split()]

    def ranks(self) -> list[int]:
        done = subprocess.run(
            ['ps', '--ppid', str(self.process.pid), '-o', 'pid='], capture_output=True, text=True
        )
        return [int(pid) for pid in done.stdout.split()]

    def wait(self, seconds: float = 120) -> int:
        """Exit status, once no process of the run is left."""
        status = self.process.wait(seconds)
        end = time.monotonic() + seconds
        while self.processes():
            assert time.monotonic() < end, f'processes are left: {self.processes()}'
            time.sleep(0.05)
        return status

    def kill(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.wait()

    def reached(self) -> int | None:
        """Last iteration in the log of this start."""
        found = re.findall(rf'Iter\(train\) \[ *(\d+)/{STEPS}\]', self.log.read_text())
        return int(found[-1]) if found else None

    def began(self) -> int | None:
        """Iteration that this start went on from, if it came so far."""
        found = re.findall(r'going on from .*iter_(\d+)\.pth', self.log.read_text())
        return int(found[-1]) if found else None

    def newest(self) -> Path | None:
        found = sorted(self.work_dir.glob('iter_*.pth'), key=lambda p: int(p.stem.split('_')[1]))
        return found[-1] if found else None


def kill_rank(run: Training) -> None:
    ranks = run.ranks()
    if ranks:
        with contextlib.suppress(ProcessLookupError):
            os.kill(random.choice(ranks), signal.SIGKILL)
    else:  # so early that there is none
        run.kill()


def kill_launcher(run: Training) -> None:
    run.process.kill()


def terminate(run: Training) -> None:
    run.process.terminate()


def truncate_newest(run: Training) -> None:
    run.kill()
    newest = run.newest()
    if newest is not None:
        os.truncate(newest, random.randrange(newest.stat().st_size))


def fill_disk(run: Training) -> None:
    filler = run.work_dir.parent / 'filler'
    try:
        with filler.open('wb') as file:
            while True:
                file.write(bytes(1 << 14))
    except OSError:
        pass
    run.wait()
    filler.unlink()


def corrupt_image(run: Training) -> None:
    image = random.choice(sorted((run.data / 'images/training').iterdir()))
    content = image.read_bytes()
    image.write_bytes(random.randbytes(len(content)))
    run.wait()
    image.write_bytes(content)


FAULTS: dict[str, Callable[[Training], None]] = {
    'SIGKILL to a rank': kill_rank,
    'SIGKILL to the launcher': kill_launcher,
    'SIGTERM': terminate,
    'newest checkpoint truncated': truncate_newest,
    'disk full': fill_disk,
    'image corrupted': corrupt_image,
}


def last_line(run: Training) -> str:
    logs = sorted(run.work_dir.glob('*/*.log'))
    lines = logs[-1].read_text().splitlines() if logs else []
    return next((line for line in reversed(lines) if line.strip()), '')


def resumable(run: Training) -> int:
    """Iteration of the newest whole checkpoint."""
    for path in find_checkpoints(run.work_dir):
        with contextlib.suppress(ValueError):
            return read_checkpoint(path)['meta']['iter']
    return 0


def wait_a_while(run: Training) -> None:
    """Wait until a random moment: three in ten while the run starts, the others while it trains."""
    if random.random() < 0.3:
        time.sleep(random.uniform(0, 10))
        return
    while run.reached() is None and run.process.poll() is None:
        time.sleep(0.02)
    time.sleep(random.uniform(0, 2.5))


def break_it(run: Training, kinds: list[str]) -> list[Outcome]:
    """Run a training to its end, with one fault after the other."""
    outcomes: list[Outcome] = []
    expected = 0
    for kind in [*kinds, None]:
        run.start()
        if kind is not None:
            wait_a_while(run)
            FAULTS[kind](run)
        status = run.wait()
        began = run.began()
        assert began in (None, expected), f'went on from {began}, {expected} was whole'
        if kind is not None:
            reached, expected = run.reached() or expected, resumable(run)
            outcomes.append(Outcome(kind, reached, expected, status, last_line(run)))
            print(f'  {kind}: {reached}, goes on from {expected}, status {status}', flush=True)
    assert status == 0, run.log.read_text()[-3000:]
    return outcomes


def result(run: Training) -> tuple[dict, str]:
    """Final weights and metric."""
    weights = read_checkpoint(run.work_dir / f'iter_{STEPS}.pth')['state_dict']
    return weights, re.findall(r'mIoU: (\d+\.\d+)', run.log.read_text())[-1]


def small_copy(root: Path, out: Path) -> Path:
    """Eight training and four validation images, which the faults may spoil."""
    for split, count in (('training', 8), ('validation', 4)):
        for folder, ending in (('images', 'jpg'), ('annotations', 'png')):
            (out / folder / split).mkdir(parents=True)
            for path in sorted((root / folder / split).glob(f'*.{ending}'))[:count]:
                shutil.copy(path, out / folder / split)
    return out


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, '  python tests/faults/inject.py ADE20K_ROOT OUT --faults 100')
    parser.add_argument('root', type=Path, help='folder of ADE20K')
    parser.add_argument('out', type=Path, help='folder for the runs, must not exist')
    parser.add_argument('--faults', type=int, default=100, help='default: 100')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    parser.add_argument('--port', type=int, default=31500, help='first port (default: 31500)')
    args = parser.parse_args()
    random.seed(args.seed)
    args.out.mkdir(parents=True)
    data = small_copy(args.root, args.out / 'data')
    (args.out / 'small.py').write_text(CONFIG)
    disk = args.out / 'disk'
    disk.mkdir()
    size = ['mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', str(disk)]
    mounted = subprocess.run(size, capture_output=True).returncode == 0
    kinds = [kind for kind in FAULTS if mounted or kind != 'disk full']
    if not mounted:
        print('a tmpfs cannot be mounted here: no disk is filled')
    planned = [kinds[i % len(kinds)] for i in range(args.faults)]
    random.shuffle(planned)
    outcomes: list[Outcome] = []
    try:
        whole = Training(data, disk / 'whole', args.port)
        whole.start()
        assert whole.wait() == 0, whole.log.read_text()[-3000:]
        weights, metric = result(whole)
        shutil.rmtree(whole.work_dir)
        for first in range(0, args.faults, FAULTS_PER_RUN):
            run = Training(data, disk / 'broken', args.port + 1 + 2 * first)
            outcomes += break_it(run, planned[first : first + FAULTS_PER_RUN])
            again, metric_again = result(run)
            assert metric_again == metric, f'{metric_again} is not {metric}'
            assert all(torch.equal(again[name], weights[name]) for name in weights)
            print(f'{len(outcomes)} faults: weights and mIoU {metric} as without', flush=True)
            shutil.rmtree(run.work_dir)
    finally:
        if mounted:
            subprocess.run(['umount', '-l', str(disk)], check=True)
    report(outcomes)


def report(outcomes: list[Outcome]) -> None:
    """Print a table; no run may lose more than an interval beside a destroyed checkpoint."""
    table = collections.defaultdict(list)
    for outcome in outcomes:
        table[outcome.kind].append(outcome)
    print(f'| fault | count | iterations lost, mean | most (interval {INTERVAL}) | exit status |')
    print('|---|---|---|---|---|')
    for kind, found in table.items():
        lost = [max(0, outcome.reached - outcome.resumed) for outcome in found]
        allowed = INTERVAL * (2 if kind == 'newest checkpoint truncated' else 1)
        assert max(lost) <= allowed, (kind, found)
        statuses = collections.Counter(outcome.status for outcome in found)
        listed = ', '.join(f'{status} ({count})' for status, count in sorted(statuses.items()))
        print(f'| {kind} | {len(found)} | {sum(lost) / len(lost):.1f} | {max(lost)} | {listed} |')
    print('last lines of the log after a full disk or a corrupted image:')
    for kind in ('disk full', 'image corrupted'):
        for line in sorted({outcome.last_line[-160:] for outcome in table[kind]}):
            print(f'  {kind}: {line}')


if __name__ == '__main__':
    main()
