"""Time spectral operations by themselves: each backend beside the plain formula, in turn.

Backends and the formula take turns in one process, so a ratio is the median over turns of two
times that were measured next to each other. With --write-table the fastest backends become what
`backend='auto'` means.
"""

import argparse
import statistics
import sys
from pathlib import Path

import torch
from tabulate import tabulate

from mmfreq.analysis.speed.operations import (
    FIELDS,
    KEY,
    OPERATIONS,
    as_map_shape,
    measure_operations,
    settings_of,
    write_fastest,
)
from mmfreq.analysis.speed.results import regressions, write_rows
from mmfreq.analysis.speed.workloads import MODES
from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.facts import read_rows
from mmfreq.ops.choice import BACKENDS, TABLE

EXAMPLE = """\
  python tools/benchmark_ops.py --out mmfreq/measured/ops_cpu.csv
  python tools/benchmark_ops.py --shapes 56x56x96 128x128x96 --modes inference --batch-sizes 1 8
  python tools/benchmark_ops.py --check mmfreq/measured/ops_cpu.csv
  python tools/benchmark_ops.py --out table.csv --write-table"""

# Maps of GFNet-H-S at 224, of a detector, of the networks' stages at 512, and awkward ones.
SHAPES = """56x56x96 28x28x192 14x14x384 7x7x768 128x128x96 25x42x512
    128x128x128 64x64x256 64x64x192 32x32x640 32x32x384 16x16x1024 16x16x768
    200x336x64 199x333x64 100x167x256 19x31x512"""
DEFAULT_BACKENDS = ['auto', 'fft', 'gemm', 'mixed']


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


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        recorded = read_rows(Path(args.check)) if args.check else []
        rows = measure_operations(
            settings_of(
                args.operations,
                args.modes,
                args.batch_sizes,
                [as_map_shape(shape) for shape in args.shapes],
            ),
            args.backends,
            args.device,
            args.turns,
            args.threads,
        )
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
        write_fastest(rows, TABLE)
        print(f'{TABLE} is rewritten')
    if args.check:
        worse = regressions(recorded, rows, KEY)
        if worse:
            sys.exit('error: slower than recorded: ' + '; '.join(worse))
        print(f'no ratio is more than 15 % below those in {args.check}')


if __name__ == '__main__':
    main()
