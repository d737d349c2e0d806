"""Time spectral operations by themselves: each backend beside the plain formula, in turn.

Backends and the formula take turns in one process, so a ratio is the median over turns of two
times that were measured next to each other. With --write-table the fastest backends become what
`backend='auto'` means.
"""

import argparse
import csv
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch import Tensor
from tqdm import tqdm

from mmfreq.analysis.speed.results import describe_machine, regressions, write_rows
from mmfreq.analysis.speed.workloads import MODES, load_source
from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.ops import dct2, idct2, spectral_filter2d
from mmfreq.ops.choice import BACKENDS, TABLE
from mmfreq.utils.memory import keep_freed_memory

EXAMPLE = """\
  python tools/benchmark_ops.py --out mmfreq/measured/ops_cpu.csv
  python tools/benchmark_ops.py --shapes 56x56x96 128x128x96 --modes inference --batch-sizes 1 8
  python tools/benchmark_ops.py --check mmfreq/measured/ops_cpu.csv
  python tools/benchmark_ops.py --out table.csv --write-table"""

# Maps of GFNet-H-S at 224, of a detector, of the networks' stages at 512, and awkward ones.
SHAPES = """56x56x96 28x28x192 14x14x384 7x7x768 128x128x96 25x42x512
    128x128x128 64x64x256 64x64x192 32x32x640 32x32x384 16x16x1024 16x16x768
    200x336x64 199x333x64 100x167x256 19x31x512"""
COPY = 'copy'  # of the features: no operation that leaves them as they are is faster
DEFAULT_BACKENDS = ['auto', 'fft', 'gemm', 'mixed']
LAYOUTS = ('channels-last', 'planes')
KEY = ('operation', 'device', 'mode', 'layout', 'batch_size', 'height', 'width', 'channels')
KEY += ('threads', 'backend')
FIELDS = (*KEY, 'ms', 'ratio', 'spread', 'error', 'machine', 'torch', 'date')
MIN_TURN = 0.01  # seconds
PLAIN = Path(__file__).parents[1] / 'benchmarks/plain.py'

Call = Callable[[], Any]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument(
        '--shapes',
        nargs='+',
        default=SHAPES.split(),
        metavar='HxWxC',
        help='feature maps (default: those of our networks)',
    )
    parser.add_argument('--operations', nargs='+', choices=OPERATIONS, default=list(OPERATIONS))
    parser.add_argument('--modes', nargs='+', choices=MODES, default=list(MODES))
    parser.add_argument('--backends', nargs='+', choices=BACKENDS, default=DEFAULT_BACKENDS)
    parser.add_argument('--batch-sizes', nargs='+', type=int, default=[1], metavar='N')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--turns', type=int, default=15, help='of each call (default: 15)')
    parser.add_argument(
        '--threads', type=int, default=torch.get_num_threads(), help='on a CPU (default: all cores)'
    )
    parser.add_argument(
        '--out', default='work_dirs/ops.csv', metavar='CSV', help='default: work_dirs/ops.csv'
    )
    parser.add_argument(
        '--check',
        metavar='CSV',
        help='fail if a ratio is more than 15 %% below the one in this file',
    )
    parser.add_argument(
        '--write-table',
        action='store_true',
        help=f'let auto mean the fastest backends: rewrites rows of {TABLE.name}',
    )
    return parser.parse_args()


def as_shape(text: str) -> tuple[int, int, int]:
    """Height, width and channels from ``56x56x96``."""
    parts = text.split('x')
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f'--shapes takes sizes such as 56x56x96, got {text!r}')
    return int(parts[0]), int(parts[1]), int(parts[2])


def filter_calls(x: Tensor, mode: str) -> tuple[Call, Callable[[str], Call], Callable[[], Tensor]]:
    """The plain filter, ours by backend, and the result in float64."""
    channels_last = load_source(PLAIN).global_filter

    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return channels_last(x, weight).permute(0, 3, 1, 2)

    _, channels, height, width = x.shape
    weight = torch.randn(channels, height, width // 2 + 1, 2, device=x.device)
    stored = weight.permute(1, 2, 0, 3).contiguous()  # as the original has it
    features = x.permute(0, 2, 3, 1)
    return (
        as_call(plain, (features, stored), mode),
        lambda backend: as_call(
            lambda x, weight: spectral_filter2d(x, weight, backend), (x, weight), mode
        ),
        lambda: plain(features.double(), stored.double()),
    )


def dct_calls(x: Tensor, mode: str) -> tuple[Call, Callable[[str], Call], Callable[[], Tensor]]:
    """Cosine transform and its inverse: as products with matrices, by backend, in float64."""
    features = x.permute(0, 2, 3, 1)

    def run(x: Tensor, backend: str) -> Tensor:
        return idct2(dct2(x, backend), backend=backend)

    return (
        as_call(lambda x: run(x, 'gemm'), (features,), mode),
        lambda backend: as_call(lambda x: run(x, backend), (features,), mode),
        lambda: features.double(),
    )


OPERATIONS = {'filter': filter_calls, 'dct': dct_calls}


def as_call(function: Callable[..., Tensor], operands: tuple[Tensor, ...], mode: str) -> Call:
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


def measure(calls: dict[str, Call], turns: int, device: str) -> dict[str, list[float]]:
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


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure everything that the command line names."""
    torch.set_num_threads(args.threads)
    random.seed(0)
    if args.device == 'cpu':
        keep_freed_memory()
    common = dict(
        device=torch.device(args.device).type,
        threads=args.threads,
        machine=describe_machine(args.device),
        torch=torch.__version__,
        date=date.today().isoformat(),
    )
    settings = [
        (operation, mode, layout, batch_size, as_shape(shape))
        for operation in args.operations
        for mode in args.modes
        for layout in LAYOUTS
        for batch_size in args.batch_sizes
        for shape in args.shapes
        if operation == 'filter' or layout == 'channels-last'  # cosines are channels-last only
    ]
    rows = []
    for operation, mode, layout, batch_size, (height, width, channels) in tqdm(settings):
        torch.manual_seed(0)
        x = torch.randn(batch_size, channels, height, width, device=args.device)
        if layout == 'channels-last':
            x = x.contiguous(memory_format=torch.channels_last)
        plain, of_backend, exact = OPERATIONS[operation](x, mode)
        calls = {'plain': plain, **{backend: of_backend(backend) for backend in args.backends}}
        if mode == 'inference':
            calls[COPY] = as_call(torch.clone, (x,), mode)
        seconds, reference = measure(calls, args.turns, args.device), exact()
        for name, call in calls.items():
            comparison = dict(ratio='', spread='', error='')
            if name != COPY:
                comparison = compare(seconds[name], seconds['plain'], call(), reference)
            rows.append(
                dict(
                    operation=operation,
                    mode=mode,
                    layout=layout,
                    batch_size=batch_size,
                    height=height,
                    width=width,
                    channels=channels,
                    backend=name,
                    ms=f'{1e3 * statistics.median(seconds[name]):.4g}',
                    **comparison,
                    **common,
                )
            )
    return rows


def compare(
    seconds: list[float], plain: list[float], result: Tensor, exact: Tensor
) -> dict[str, str]:
    """Speed beside the plain formula's, and the distance of the result from float64."""
    ratios = [a / b for a, b in zip(plain, seconds, strict=True)]
    low, centre, high = statistics.quantiles(ratios, n=4)
    error = (result.double() - exact).norm() / exact.norm()
    return dict(ratio=f'{centre:.3f}', spread=f'{(high - low) / centre:.2f}', error=f'{error:.1e}')


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    if not path.is_file():
        raise FileNotFoundError(f'there is no file {path}')
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def write_table(rows: list[dict[str, Any]]) -> None:
    """Replace the rows of a device in the table of the fastest backends."""
    fields = ('operation', 'device', 'mode', 'layout', 'height', 'width', 'channels', 'backend')
    scores: dict[tuple[str, ...], dict[str, float]] = {}
    for row in rows:
        if row['backend'] in BACKENDS and row['backend'] != 'auto':
            score = scores.setdefault(tuple(str(row[name]) for name in fields[:-1]), {})
            score[row['backend']] = float(row['ratio'])
    measured = {key[:3] for key in scores}
    kept = [
        row
        for row in read_rows(TABLE)
        if (row['operation'], row['device'], row['mode']) not in measured
    ]
    for key, score in scores.items():
        best = max(score, key=lambda backend: score[backend])
        kept.append(dict(zip(fields, (*key, best), strict=True)))
    write_rows(TABLE, fields, kept)


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        recorded = read_rows(Path(args.check)) if args.check else []
        rows = run(args)
        write_rows(Path(args.out), FIELDS, rows)
    shown = ('operation', 'mode', 'layout', 'batch_size', 'height', 'width', 'channels')
    shown += ('backend', 'ms', 'ratio', 'spread', 'error')
    print(tabulate([[row[name] for name in shown] for row in rows], shown))
    ratios = [float(row['ratio']) for row in rows if row['backend'] == 'auto']
    if ratios:
        print(f'auto: geometric mean of ratios {statistics.geometric_mean(ratios):.2f}')
    if not torch.cuda.is_available():
        print('GPU: not measured, there is none')
    print(f'results in {args.out}')
    if args.write_table:
        write_table(rows)
        print(f'{TABLE} is rewritten')
    if args.check:
        worse = regressions(recorded, rows, KEY)
        if worse:
            sys.exit('error: slower than recorded: ' + '; '.join(worse))
        print(f'no ratio is more than 15 % below those in {args.check}')


if __name__ == '__main__':
    main()
