"""Check this library on a GPU and time it, in ten minutes; only torch and mmfreq are needed.

Every operation and backend against float64, with filters that are not Hermitian, odd sizes and half
precision; then the backends beside the plain formula and a copy of the features; then GFNet-H-S and
DFFormer-S18, eager and compiled, in float32 and with AMP. A short table comes last. With
--write-table the fastest backends become what backend='auto' means on this kind of device.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate
from tqdm import tqdm

from mmfreq.analysis.gpu_check import SIZES, checks
from mmfreq.analysis.speed.operations import (
    FIELDS,
    as_map_shape,
    measure_operations,
    settings_of,
    write_fastest,
)
from mmfreq.analysis.speed.plan import Choice, measure_missing, plan
from mmfreq.analysis.speed.results import ResultFile, describe_machine, write_rows
from mmfreq.analysis.speed.workloads import MODES
from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.ops.choice import TABLE

EXAMPLE = """\
  python tools/check_gpu.py
  python tools/check_gpu.py --minutes 20 --write-table
  python tools/check_gpu.py --device cpu --batch-size 1 --minutes 1  (a rehearsal without a GPU)"""

MODELS = ('gfnet-h-s', 'dfformer-s18')
VARIANTS = ('eager', 'amp', 'amp+channels-last', 'compiled', 'compiled+amp')
SHAPES = ('56x56x96', '28x28x192', '14x14x384', '128x128x96', '64x64x192', '199x333x64')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('--device', default='cuda', help='default: cuda')
    parser.add_argument('--minutes', type=float, default=9, help='in all, about (default: 9)')
    parser.add_argument('--batch-size', type=int, default=32, help='of networks (default: 32)')
    parser.add_argument('--out', default='work_dirs/gpu', help='folder (default: work_dirs/gpu)')
    parser.add_argument(
        '--write-table', action='store_true', help=f'rewrite rows of this device in {TABLE.name}'
    )
    return parser.parse_args()


def check_operations(device: str, end: float) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """What is further from float64 than it may be, by backend, and the worst distances."""
    wrong: dict[str, str] = {}
    worst: dict[tuple[str, float], float] = {}
    every = [(check, size) for size in SIZES for check in checks(device)]
    done = 0
    for check, size in tqdm(every, desc='against float64'):
        if time.monotonic() > end:
            break
        try:
            error = check.run(size)
        except Exception as failure:  # whatever a compiler or driver raises is a result
            found = f'{type(failure).__name__}: {failure}'[:300]
        else:
            key = (check.backend, check.tolerance)
            worst[key] = float(np.maximum(worst.get(key, 0.0), error))
            found = '' if error <= check.tolerance else f'{error:.1e} from float64'
        done += 1
        if found:
            print(f'wrong: {check.name}, {size}: {found}', flush=True)
            wrong[check.backend] = f'{check.name}, {size}: {found}'
    print(f'{done} of {len(every)} checks ran, wrong are {", ".join(wrong) or "none"}')
    lines = [
        (f'{backend}, {"float32" if tolerance < 1e-3 else "half"}', f'{error:.1e} from float64')
        for (backend, tolerance), error in worst.items()
    ]
    return wrong, lines


def time_operations(
    device: str, out: Path, write_table: bool, failed: set[str]
) -> list[tuple[str, str]]:
    """Milliseconds of each backend that is right, of the plain formula, of a copy of features."""
    known = ['fft', 'gemm', 'mixed'] + ['triton'] * (device != 'cpu')
    backends = [backend for backend in known if backend not in failed]
    shapes = [as_map_shape(shape) for shape in SHAPES]
    rows = measure_operations(
        settings_of(['filter', 'dct'], ['inference'], [8], shapes), backends, device, 8, 2
    )
    write_rows(out / 'operations.csv', FIELDS, rows)
    if write_table:
        write_fastest(rows, TABLE)
    lines = []
    for i, row in enumerate(rows):
        if row['backend'] == 'plain':
            group = {r['backend']: r for r in rows[i : i + len(backends) + 2]}
            times = ', '.join(f'{name} {group[name]["ms"]}' for name in group)
            size = f'{row["height"]}x{row["width"]}x{row["channels"]}'
            lines.append((f'{row["operation"]} {size} {row["layout"]}', f'{times} ms'))
    return lines


def time_networks(device: str, batch_size: int, out: Path, minutes: float) -> list[tuple[str, str]]:
    """Images per second of each variant."""
    groups = plan(Choice(MODELS, MODES, VARIANTS, [device], ['224'], [batch_size], 2, None))
    results = ResultFile(out / 'networks.csv', {describe_machine(device)})
    measure_missing(groups, results, 5, 3, minutes)
    return [
        (
            f'{row["model"]} {row["mode"]} {row["variant"]}',
            f'{float(row["img_per_s"]):.0f} img/s' if row['status'] == 'ok' else row['status'],
        )
        for row in results.rows
    ]


def main() -> None:
    """Run the command."""
    args = parse_args()
    start = time.monotonic()
    out = Path(args.out)
    with errors_as_messages():
        if args.device != 'cpu' and not torch.cuda.is_available():
            raise ValueError('torch sees no GPU here; --device cpu rehearses the command')
        wrong, lines = check_operations(args.device, start + 60 * args.minutes / 3)
        try:
            lines += time_operations(args.device, out, args.write_table, set(wrong))
        except Exception as failure:  # what is known so far is worth more than a traceback
            wrong['timing'] = f'{type(failure).__name__}: {failure}'[:300]
        left = args.minutes - (time.monotonic() - start) / 60
        lines += time_networks(args.device, args.batch_size, out, max(left, 0))
    print(f'{describe_machine(args.device)}, torch {torch.__version__}; files in {out}')
    print(tabulate(lines, ('what', 'result'), tablefmt='github'))
    if wrong:
        sys.exit('error: ' + '\n'.join(wrong.values()))


if __name__ == '__main__':
    main()
