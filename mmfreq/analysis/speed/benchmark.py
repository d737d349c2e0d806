"""Timing networks: each in a process of its own, all of a group in turn.

A process of its own gives each network its own peak memory and keeps the others running when one
runs out of memory. On a GPU memory is the allocator's peak; on a CPU it is what the resident set
grows by in a step, with the network and the images. Taking turns makes ratios fair: whatever slows
the machine down slows all of them, and a ratio is the median over turns.

On Linux the kernel counts how long a thread that could run waited for a CPU. Steps in which a
process waited for more than a twentieth of the time are dropped: others were at work then.
"""

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mmfreq.analysis.speed.workloads import Workload
from mmfreq.int8 import NO_LINEAR_LAYER, NoLinearLayerError
from mmfreq.utils.memory import keep_freed_memory

__all__ = ['DONE', 'FIELDS', 'Case', 'measure_group']

MIN_TURN = 0.2  # seconds; quick steps are repeated within a turn
LONGEST_WAIT = 0.05  # of a step, and of all threads together
OUT_OF_MEMORY = 'out of memory'
DONE = ('ok', OUT_OF_MEMORY, NO_LINEAR_LAYER)
PROCESSES = get_context('forkserver')  # a fork of a process that runs torch may hang
PROCESSES.set_forkserver_preload(['mmfreq.analysis.speed.workloads', 'mmfreq.models'])


class Case(NamedTuple):
    """One line of a benchmark.

    Attributes:
        model (str): Name of a backbone, or path of a config.
        mode (str): ``'inference'`` or ``'training'``.
        variant (str): See :class:`mmfreq.analysis.speed.workloads.Workload`.
        device (str): ``'cpu'``, ``'cuda:0'``, ...
        height (int): Of the images, in pixels.
        width (int): Of the images, in pixels.
        batch_size (int): Images per step.
        threads (int): Threads of the network's process, on a CPU.
    """

    model: str
    mode: str
    variant: str
    device: str
    height: int
    width: int
    batch_size: int
    threads: int


# Columns of a result: img_per_s is the median over turns and spread the interquartile range divided
# by it; latencies are percentiles over steps; dropped is the share of steps that waited for a CPU;
# ratios are to the reference's speed in the same turn; error is that of the outputs beside eager
# mode, prepare_s the time until the first step is done: building, compiling or exporting.
FIELDS = (
    *Case._fields,
    *('status', 'params', 'turns', 'img_per_s', 'spread', 'ms_p50', 'ms_p90', 'ms_p99', 'dropped'),
    *('memory_mib', 'reference', 'ratio', 'ratio_spread', 'error', 'prepare_s'),
    *('machine', 'torch', 'date'),
)

Step = tuple[float, float]  # seconds, and those that its threads waited for a CPU


def measure_group(
    cases: Sequence[Case],
    turns: int,
    warmup: int,
    progress: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Time several networks in turn.

    Args:
        cases (Sequence[Case]): Networks to compare; ratios are to the first variant of the same
            network, for a network ``NAME`` to ``plain:NAME`` or ``FILE.py:NAME`` where that is
            among them, or else to the first of all.
        turns (int): How often each gets its turn.
        warmup (int): Untimed steps before the first turn.
        progress (Callable): Called with a word on what is going on.

    Returns:
        list[dict]: A result per case, see :data:`FIELDS`; without the columns about the machine.
    """
    workers = []
    try:
        for case in cases:
            progress(f'preparing {case.model}, {case.variant}')
            workers.append(_Worker(case, warmup))
        for turn in range(turns):
            progress(f'turn {turn + 1} of {turns}')
            for worker in workers:
                worker.take_turn()
    finally:
        for worker in workers:
            worker.close()
    return [worker.result(_reference_of(worker, workers)) for worker in workers]


def _reference_of(worker: '_Worker', workers: Sequence['_Worker']) -> '_Worker':
    """Another variant, the same network with plain layers or from a file, or the first of all."""
    variants = [other for other in workers if other.case.model == worker.case.model]
    if variants[0].case.variant != worker.case.variant:
        return variants[0]
    name = f':{worker.case.model}'
    return next((other for other in workers if other.case.model.endswith(name)), workers[0])


class _Worker:
    """A process that times one network whenever it is told to."""

    def __init__(self, case: Case, warmup: int) -> None:
        self.case = case
        self.turns: list[list[Step]] = []
        self._connection, child = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=_serve, args=(child, case, warmup), daemon=True)
        with _interrupts_put_off():
            self._process.start()
        child.close()
        self.status = ''
        self.facts: dict[str, Any] = self._ask() or {}

    def take_turn(self) -> None:
        if self.status == 'ok':
            seconds = self._ask('turn')
            if seconds is not None:
                self.turns.append(seconds)

    def close(self) -> None:
        self._connection.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()

    def result(self, reference: '_Worker') -> dict[str, Any]:
        """What was measured, by column."""
        row: dict[str, Any] = {**self.case._asdict(), 'status': self.status, **self.facts}
        if self.status != 'ok':
            return row
        speeds, every = self.speeds(), [step for turn in self.turns for step in turn]
        steps = [seconds for turn in self.counted() for seconds in turn]
        row.update(turns=len(speeds), dropped=1 - sum(map(_is_quiet, every)) / len(every))
        known = [speed for speed in speeds if speed is not None]
        row['img_per_s'], row['spread'] = _centre_and_spread(known)
        for percent in (50, 90, 99):
            row[f'ms_p{percent}'] = 1e3 * float(np.percentile(steps, percent))
        if reference.status == 'ok':
            pairs = zip(speeds, reference.speeds(), strict=True)
            ratios = [a / b for a, b in pairs if a is not None and b is not None]
            if ratios:
                row['reference'] = reference.case.model
                if reference.case.variant != self.case.variant:
                    row['reference'] += f' ({reference.case.variant})'
                row['ratio'], row['ratio_spread'] = _centre_and_spread(ratios)
        return row

    def counted(self) -> list[list[float]]:
        """Seconds of the quiet steps of each turn, or of all steps if there is no quiet one."""
        quiet = [[step[0] for step in turn if _is_quiet(step)] for turn in self.turns]
        return quiet if any(quiet) else [[step[0] for step in turn] for turn in self.turns]

    def speeds(self) -> list[float | None]:
        """Images per second of each turn, None for one without steps that count."""
        size = self.case.batch_size
        return [size * len(turn) / sum(turn) if turn else None for turn in self.counted()]

    def _ask(self, request: str | None = None) -> Any:
        """Send a request, wait for the answer, and keep the status that comes with it."""
        try:
            if request is not None:
                self._connection.send(request)
            self.status, answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            # The kernel kills with this signal when memory runs out.
            killed = code == -signal.SIGKILL
            self.status = OUT_OF_MEMORY if killed else f'the process ended with status {code}'
            return None
        return answer


@contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Hold back Ctrl-C, which would leave a process that is half handed over in a traceback."""
    pressed: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    # The processes inherit the mask: none is interrupted before `_serve` ignores the signal. The
    # first of them starts the tracker, which would take the signal out of the mask again.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if pressed:
        raise KeyboardInterrupt


def _serve(connection: Connection, case: Case, warmup: int) -> None:
    """Time a network whenever the connection says so, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # warnings of libraries would break the progress bar
        os.dup2(silence, stream)
    try:
        _limit_memory()
        if torch.device(case.device).type == 'cpu':
            keep_freed_memory()
        stopwatch = _Stopwatch(case, warmup)
        connection.send(('ok', stopwatch.facts))
        while connection.recv() == 'turn':
            connection.send(('ok', stopwatch.turn()))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        connection.send((_describe(error), None))


def _is_quiet(step: Step) -> bool:
    seconds, waited = step
    return waited <= LONGEST_WAIT * seconds


class _Stopwatch:
    """Times steps of a network in this process."""

    def __init__(self, case: Case, warmup: int) -> None:
        torch.set_num_threads(case.threads)
        start = time.perf_counter()
        self.device = torch.device(case.device)
        shape = (case.height, case.width)
        self.workload = Workload(
            case.model, case.mode, case.variant, case.device, shape, case.batch_size
        )
        before = _read_bytes('/proc/self/status', 'VmRSS')
        Path('/proc/self/clear_refs').write_text('5')  # starts a new peak
        self._time_step()
        ready = time.perf_counter() - start
        for _ in range(warmup - 1):
            self._time_step()
        if self.device.type == 'cuda':
            memory = torch.cuda.max_memory_allocated(self.device)
        else:
            growth = _read_bytes('/proc/self/status', 'VmHWM') - before
            memory = growth + self.workload.size
        self.facts = dict(
            params=self.workload.params,
            memory_mib=memory / 2**20,
            prepare_s=ready,
            error=self.workload.compare(),  # behind the others, which it would change
        )
        self.steps_per_turn = max(1, round(MIN_TURN / self._time_step()[0]))

    def turn(self) -> list[Step]:
        """A few steps."""
        if self.device.type == 'cuda':
            self._time_step()  # fills the allocator's cache, which others could use in the meantime
            seconds = [self._time_step() for _ in range(self.steps_per_turn)]
            torch.cuda.empty_cache()
            return seconds
        return [self._time_step() for _ in range(self.steps_per_turn)]

    def _time_step(self) -> Step:
        waited, start = _seconds_waited(), time.perf_counter()
        self.workload.step()
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - start, _seconds_waited() - waited


def _seconds_waited() -> float:
    """How long this process's threads were ready to run and did not, since they began."""
    nanoseconds = 0
    for file in Path('/proc/self/task').glob('*/schedstat'):
        with suppress(OSError):  # a thread may end at any time
            nanoseconds += int(file.read_text().split()[1])
    return nanoseconds / 1e9


def _limit_memory() -> None:
    """Turn a shortage of memory into an exception, before the kernel ends some process."""
    limit = _read_bytes('/proc/meminfo', 'MemAvailable') + _read_bytes(
        '/proc/self/status', 'VmData'
    )
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _read_bytes(path: str, name: str) -> int:
    """A size that the kernel reports in KiB."""
    lines = Path(path).read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f'{name}:'))


def _describe(error: Exception) -> str:
    """Status for an exception: its first line, or that memory ran out."""
    text = str(error)
    if isinstance(error, NoLinearLayerError):
        return NO_LINEAR_LAYER
    exhausted = ('out of memory', "can't allocate memory", 'not enough memory')
    if isinstance(error, MemoryError) or any(phrase in text for phrase in exhausted):
        return OUT_OF_MEMORY
    return f'{type(error).__name__}: {text.splitlines()[0] if text else ""}'[:200]


def _centre_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Median, and interquartile range divided by it."""
    low, centre, high = np.percentile(values, (25, 50, 75)).tolist()
    return centre, (high - low) / centre
