"""Timing spectral operations by themselves: each backend beside the plain formula, in turn.

Backends and the formula take turns in one process, so a ratio is the median over turns of two
times that were measured next to each other.
"""

import itertools
import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from mmfreq.analysis.speed.plain import global_filter
from mmfreq.analysis.speed.plain import low_pass as plain_low_pass
from mmfreq.analysis.speed.results import describe_machine, write_rows
from mmfreq.analysis.speed.runtimes import LARGEST_ERROR
from mmfreq.facts import read_rows
from mmfreq.ops import dct2, idct2, spectral_filter2d
from mmfreq.ops.bands import low_pass
from mmfreq.ops.choice import BACKENDS
from mmfreq.utils.memory import keep_freed_memory

__all__ = [
    'FIELDS',
    'KEY',
    'OPERATIONS',
    'Setting',
    'as_map_shape',
    'measure_operations',
    'settings_of',
    'write_fastest',
]

COPY = 'copy'  # of the features: no operation that leaves them as they are is faster
LAYOUTS = ('channels-last', 'planes')
MIN_TURN = 0.01  # seconds
BAND_FACTORS = (2, 4, 8)


class Setting(NamedTuple):
    """Features that an operation is timed on.

    Attributes:
        operation (str): One of :data:`OPERATIONS`.
        mode (str): ``'inference'`` or ``'training'``.
        layout (str): ``'channels-last'`` or ``'planes'``.
        batch_size (int): Number of images.
        height (int): Of the maps.
        width (int): Of the maps.
        channels (int): Of the maps.
    """

    operation: str
    mode: str
    layout: str
    batch_size: int
    height: int
    width: int
    channels: int


# Columns that say what was timed, and all columns.
KEY = (
    *('operation', 'device', 'mode', 'layout', 'batch_size', 'height', 'width', 'channels'),
    *('threads', 'backend'),
)
FIELDS = (*KEY, 'ms', 'ratio', 'spread', 'error', 'machine', 'torch', 'date')

Call = Callable[[], Any]


def as_map_shape(text: str) -> tuple[int, int, int]:
    """Height, width and channels from ``56x56x96``."""
    parts = text.split('x')
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f'--shapes takes sizes such as 56x56x96, got {text!r}')
    return int(parts[0]), int(parts[1]), int(parts[2])


def settings_of(
    operations: Sequence[str],
    modes: Sequence[str],
    batch_sizes: Sequence[int],
    shapes: Sequence[tuple[int, int, int]],
) -> list[Setting]:
    """All combinations, cosines of channels-last features only."""
    return [
        Setting(operation, mode, layout, batch_size, *shape)
        for operation, mode, layout, batch_size, shape in itertools.product(
            operations, modes, LAYOUTS, batch_sizes, shapes
        )
        if operation != 'dct' or layout == 'channels-last'
    ]


def measure_operations(
    settings: Sequence[Setting],
    backends: Sequence[str],
    device: str,
    turns: int,
    threads: int,
) -> list[dict[str, Any]]:
    """Time operations.

    Args:
        settings (Sequence[Setting]): What to time.
        backends (Sequence[str]): What computes them.
        device (str): ``'cpu'``, ``'cuda'``, ...
        turns (int): How often each call gets its turn.
        threads (int): Threads of PyTorch, on a CPU.

    Returns:
        list[dict]: A result for each setting and backend, see :data:`FIELDS`.
    """
    torch.set_num_threads(threads)
    random.seed(0)
    if device == 'cpu':
        keep_freed_memory()
    common = dict(
        device=torch.device(device).type,
        threads=threads,
        machine=describe_machine(device),
        torch=torch.__version__,
        date=date.today().isoformat(),
    )
    rows = []
    for setting in tqdm(settings):
        torch.manual_seed(0)
        shape = (setting.batch_size, setting.channels, setting.height, setting.width)
        x = torch.randn(shape, device=device)
        if setting.layout == 'channels-last':
            x = x.contiguous(memory_format=torch.channels_last)
        mode = setting.mode
        plain, of_backend, exact = OPERATIONS[setting.operation](x, mode)
        calls = {'plain': plain, **{backend: of_backend(backend) for backend in backends}}
        if mode == 'inference':
            calls[COPY] = _as_call(torch.clone, (x,), mode)
        seconds, reference = _measure(calls, turns, device), exact()
        for name, call in calls.items():
            comparison = dict(ratio='', spread='', error='')
            if name != COPY:
                comparison = _compare(seconds[name], seconds['plain'], call(), reference)
            ms = f'{1e3 * statistics.median(seconds[name]):.4g}'
            rows.append({**setting._asdict(), 'backend': name, 'ms': ms, **comparison, **common})
    return rows


def write_fastest(rows: Sequence[dict[str, Any]], table: Path) -> None:
    """Replace the rows of a device in the table of the fastest backends.

    Args:
        rows (Sequence[dict]): Results of :func:`measure_operations`.
        table (Path): The table, see :data:`mmfreq.ops.choice.TABLE`.
    """
    fields = ('operation', 'device', 'mode', 'layout', 'height', 'width', 'channels', 'backend')
    scores: dict[tuple[str, ...], dict[str, float]] = {}
    for row in rows:
        is_right = row['error'] != '' and float(row['error']) <= LARGEST_ERROR
        if row['backend'] in BACKENDS and row['backend'] != 'auto' and is_right:
            score = scores.setdefault(tuple(str(row[name]) for name in fields[:-1]), {})
            score[row['backend']] = float(row['ratio'])
    measured = {key[:3] for key in scores}
    kept = [
        row
        for row in read_rows(table)
        if (row['operation'], row['device'], row['mode']) not in measured
    ]
    for key, score in scores.items():
        best = max(score, key=lambda backend: score[backend])
        kept.append(dict(zip(fields, (*key, best), strict=True)))
    write_rows(table, fields, kept)


Calls = tuple[Call, Callable[[str], Call], Callable[[], Tensor]]


def _filter_calls(x: Tensor, mode: str) -> Calls:
    """The plain filter, ours by backend, and the result in float64."""

    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return global_filter(x, weight).permute(0, 3, 1, 2)

    _, channels, height, width = x.shape
    weight = torch.randn(channels, height, width // 2 + 1, 2, device=x.device)
    stored = weight.permute(1, 2, 0, 3).contiguous()  # as the original has it
    features = x.permute(0, 2, 3, 1)
    return (
        _as_call(plain, (features, stored), mode),
        lambda backend: _as_call(
            lambda x, weight: spectral_filter2d(x, weight, backend), (x, weight), mode
        ),
        lambda: plain(features.double(), stored.double()),
    )


def _dct_calls(x: Tensor, mode: str) -> Calls:
    """Cosine transform and its inverse: as products with matrices, by backend, in float64."""
    features = x.permute(0, 2, 3, 1)

    def run(x: Tensor, backend: str) -> Tensor:
        return idct2(dct2(x, backend), backend=backend)

    return (
        _as_call(lambda x: run(x, 'gemm'), (features,), mode),
        lambda backend: _as_call(lambda x: run(x, backend), (features,), mode),
        lambda: features.double(),
    )


def _bands_calls(x: Tensor, mode: str) -> Calls:
    """The sum of FDConv's low-pass filters: with masks, by backend, in float64."""

    def plain(x: Tensor) -> Tensor:
        lows = plain_low_pass(x, BAND_FACTORS)
        return lows[0] + lows[1] + lows[2]

    def ours(x: Tensor, backend: str) -> Tensor:
        lows = low_pass(x, BAND_FACTORS, backend=backend)
        return lows[0] + lows[1] + lows[2]

    return (
        _as_call(plain, (x,), mode),
        lambda backend: _as_call(lambda x: ours(x, backend), (x,), mode),
        lambda: plain(x.double()),
    )


OPERATIONS = {'filter': _filter_calls, 'bands': _bands_calls, 'dct': _dct_calls}


def _as_call(function: Callable[..., Tensor], operands: tuple[Tensor, ...], mode: str) -> Call:
    """A forward pass without gradients, or forward and backward."""
    if mode == 'inference':

        def forward() -> Tensor:
            with torch.inference_mode():
                return function(*operands)

        return forward
    leaves = [operand.detach().requires_grad_() for operand in operands]
    grad = torch.ones_like(function(*operands))

    def step() -> Tensor:
        y = function(*leaves)
        torch.autograd.grad(y, leaves, grad)
        return y.detach()

    return step


def _measure(calls: dict[str, Call], turns: int, device: str) -> dict[str, list[float]]:
    """Seconds of each call in each turn."""

    def timed(call: Call, repeats: int) -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        if device != 'cpu':
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / repeats

    repeats = {}
    for name, call in calls.items():
        timed(call, 2)
        repeats[name] = max(1, round(MIN_TURN / timed(call, 1)))
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(turns):
        random.shuffle(order)  # what comes behind a large call finds cold caches
        for name in order:
            seconds[name].append(timed(calls[name], repeats[name]))
    return seconds


def _compare(
    seconds: list[float], plain: list[float], result: Tensor, exact: Tensor
) -> dict[str, str]:
    """Speed beside the plain formula's, and the distance of the result from float64."""
    ratios = [a / b for a, b in zip(plain, seconds, strict=True)]
    low, centre, high = statistics.quantiles(ratios, n=4)
    error = (result.double() - exact).norm() / exact.norm()
    return dict(ratio=f'{centre:.3f}', spread=f'{(high - low) / centre:.2f}', error=f'{error:.1e}')
