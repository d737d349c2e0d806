"""Measure speed and memory of networks, side by side.

Each network runs in a process of its own, and all of a setting take turns. Every result is in the
CSV file as soon as it is there: a run that was interrupted goes on where it stopped when the same
command is given again.
"""

import argparse
import sys
from pathlib import Path

import torch
from tabulate import tabulate

from mmfreq.analysis.speed.benchmark import DONE, Case
from mmfreq.analysis.speed.plan import PRESETS, Choice, measure_missing, plan
from mmfreq.analysis.speed.report import write_report
from mmfreq.analysis.speed.results import ResultFile, describe_machine, regressions, share_dropped
from mmfreq.analysis.speed.workloads import MODES, VARIANTS
from mmfreq.engine.command_line import errors_as_messages, make_parser, this_command
from mmfreq.zoo import PEERS

__all__ = ['main']

EXAMPLE = f"""\
  mmfreq benchmark gfnet-h-ti dfformer-s18 affnet-et convnext-t swin-t \\
      --report work_dirs/speed
  mmfreq benchmark configs/fpn_dfformer_s18_ade20k.py --modes training --sizes 512 \\
      --batch-sizes 2 4 8 --variants eager amp --devices cuda:0
  mmfreq benchmark gfnet-h-s dfformer-s18 --sizes 512 --report work_dirs/deployed \\
      --variants eager compiled exported onnxruntime openvino int8 bf16
  mmfreq benchmark --preset resolution --report work_dirs/resolution

backbones to compare with: {', '.join(PEERS)}
The preset originals compares with plain layers as the authors write them, with bf16, with the peers
above, and over image sizes; with --check it compares the ratios with those that are recorded.
The preset resolution is for throughput and peak memory against resolution, the figures 5 and 6 of
the DFFormer paper: DFFormer, CDFFormer, GFFormer, a convolutional and an attention network, from
256 pixels to 2048 on a GPU and 1024 on a CPU."""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument(
        'models',
        nargs='*',
        metavar='MODEL',
        help='backbones by name and configs, also of a library (mmdet::retinanet/...py); ratios '
        'are to the first of them, with several variants to the first variant of each',
    )
    parser.add_argument(
        '--preset',
        choices=PRESETS,
        help='models and sizes of a known comparison, see below; those given beside resolution win',
    )
    parser.add_argument('--modes', nargs='+', choices=MODES, default=['inference'])
    parser.add_argument(
        '--variants',
        nargs='+',
        default=['eager'],
        help=f'of {", ".join(VARIANTS)}; + combines them, as in compiled+amp (default: eager)',
    )
    parser.add_argument('--devices', nargs='+', help='cpu, cuda:0, ... (default: GPU or else CPU)')
    parser.add_argument(
        '--sizes',
        nargs='+',
        metavar='N|HxW',
        help='image sizes in pixels (default: 224)',
    )
    parser.add_argument('--batch-sizes', nargs='+', type=int, default=[1], metavar='N')
    parser.add_argument('--turns', type=int, default=10, help='of each network (default: 10)')
    parser.add_argument('--warmup', type=int, default=3, help='untimed steps (default: 3)')
    parser.add_argument(
        '--threads', type=int, default=torch.get_num_threads(), help='on a CPU (default: all cores)'
    )
    parser.add_argument(
        '--budget', type=float, metavar='MINUTES', help='start nothing new after so long'
    )
    parser.add_argument(
        '--out', metavar='CSV', help='default: results.csv in the report or work_dirs'
    )
    parser.add_argument(
        '--check',
        metavar='CSV',
        help='fail if a ratio is more than 15 %% below the one in this file',
    )
    parser.add_argument('--report', metavar='DIR', help='write a page and figures into this folder')
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_args()
    out = args.out or str(Path(args.report or 'work_dirs') / 'results.csv')
    with errors_as_messages():
        if args.turns < 1:
            raise ValueError('--batch-sizes, --turns and --threads take positive numbers')
        groups = plan(
            Choice(
                args.models,
                args.modes,
                args.variants,
                args.devices or [],
                args.sizes or [],
                args.batch_sizes,
                args.threads,
                args.preset,
            )
        )
        results = ResultFile(out, {describe_machine(group[0].device) for group in groups})
    try:
        measure_missing(groups, results, args.turns, args.warmup, args.budget)
    except KeyboardInterrupt:
        sys.exit(f'\ninterrupted; {out} has what was measured, the same command goes on from there')
    cases = {tuple(map(str, case)) for group in groups for case in group}
    rows = [row for row in results.rows if tuple(row[name] for name in Case._fields) in cases]
    columns = [*Case._fields, 'img_per_s', 'spread', 'dropped', 'ratio', 'error', 'prepare_s']
    columns += ['memory_mib', 'status']
    print(tabulate([[row[name] for name in columns] for row in rows], columns))
    share = share_dropped(rows)
    if share is not None:
        print(f'{share:.0%} of the steps waited for a CPU and were dropped')
    print(f'results in {out}')
    if args.preset and not torch.cuda.is_available():
        print('GPU: not measured, there is none')
    if args.check:
        with errors_as_messages():
            recorded = ResultFile(args.check, {row['machine'] for row in rows}).rows
        worse = regressions(recorded, rows, Case._fields)
        if worse:
            sys.exit('error: slower than recorded: ' + '; '.join(worse))
        print(f'no ratio is more than 15 % below those in {args.check}')
    if args.report:
        page = write_report(rows, Path(args.report), this_command())
        print(f'page in {page}')
    failed = {row['status'] for row in rows} - set(DONE)
    if len(rows) < len(cases):
        left = f'{len(cases) - len(rows)} of {len(cases)} cases'
        print(f'the budget is used up, {left} are left; the same command goes on')
    if failed:
        sys.exit('error: ' + '; '.join(sorted(failed)))
