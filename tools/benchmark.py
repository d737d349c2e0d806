"""Measure speed and memory of networks, side by side.

Each network runs in a process of its own, and all of a setting take turns. Every result is in the
CSV file as soon as it is there: a run that was interrupted goes on where it stopped when the same
command is given again.
"""

import argparse
import itertools
import shlex
import sys
import time
from datetime import date
from pathlib import Path

import torch
from tabulate import tabulate
from tqdm import tqdm

from mmfreq.analysis.speed.benchmark import DONE, Case, measure_group
from mmfreq.analysis.speed.report import write_report
from mmfreq.analysis.speed.results import ResultFile, describe_machine, regressions
from mmfreq.analysis.speed.workloads import MODES, VARIANTS, load_source
from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.utils.config_files import read_model_config
from mmfreq.zoo import PEERS, backbone_config

EXAMPLE = f"""\
  python tools/benchmark.py gfnet-h-ti dfformer-s18 affnet-et convnext-t swin-t \\
      --report work_dirs/speed
  python tools/benchmark.py configs/fpn_dfformer_s18_ade20k.py --modes training --sizes 512 \\
      --batch-sizes 2 4 8 --variants eager amp --devices cuda:0
  python tools/benchmark.py --preset resolution --report work_dirs/resolution

backbones to compare with: {', '.join(PEERS)}
The preset originals compares with plain layers as the authors write them, with bf16, with the peers
above, and over image sizes; with --check it compares the ratios with those that are recorded.
The preset resolution is for throughput and peak memory against resolution, the figures 5 and 6 of
the DFFormer paper: DFFormer, CDFFormer, GFFormer, a convolutional and an attention network, from
256 pixels to 2048 on a GPU and 1024 on a CPU."""

PLAIN = 'benchmarks/plain.py'
ORIGINALS = ('gfnet-h-s', 'dfformer-s18', 'affnet-base')
RIVALS = ('convnext-t', 'swin-t')
SIDES = (224, 384, 512, 768, 1024, 1536)
AWKWARD = ((800, 1344), (796, 1332))  # maps of 200 x 336 and 199 x 333 at stride 4

PRESET_MODELS = ('dfformer-s18', 'cdfformer-s18', 'gfformer-s18', 'convnext-t', 'swin-t')
PRESET_SIZES = (256, 384, 512, 768, 1024, 1536, 2048)
LARGEST_ON_CPU = 1024


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument(
        'models',
        nargs='*',
        metavar='MODEL',
        help='backbones by name and configs, also of a library (mmdet::retinanet/...py); ratios '
        'are to the first of them',
    )
    parser.add_argument(
        '--preset',
        choices=['resolution', 'originals'],
        help='models and sizes of a known comparison, see below; what is given beside it wins',
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


def plan(args: argparse.Namespace) -> list[list[Case]]:
    """Groups of networks in the same setting, after checking all that the command line names.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If something is unknown or not there; the message names it.
    """
    models, sizes = args.models, args.sizes or ['224']
    devices = args.devices or ['cuda:0' if torch.cuda.is_available() else 'cpu']
    if args.preset == 'resolution':
        models = models or list(PRESET_MODELS)
        on_cpu = any(device == 'cpu' for device in devices)
        known = [n for n in PRESET_SIZES if not on_cpu or n <= LARGEST_ON_CPU]
        sizes = args.sizes or [str(size) for size in known]
    if args.preset == 'originals':
        return plan_originals(devices[0], args.threads)
    if not models:
        raise ValueError('name at least one model, for example gfnet-h-ti')
    for model in models:
        if '.py:' in model:
            load_source(model.partition(':')[0])
        elif Path(model).suffix == '.py':
            read_model_config(model)
        else:
            backbone_config(model)
    for variant in args.variants:
        unknown = set(variant.split('+')) - set(VARIANTS)
        if unknown:
            raise ValueError(f'--variants takes {", ".join(VARIANTS)}, got {variant!r}')
    for device in devices:
        check_device(device)
    if min(args.batch_sizes) < 1 or args.turns < 1 or args.threads < 1:
        raise ValueError('--batch-sizes, --turns and --threads take positive numbers')
    shapes = [as_shape(size) for size in sizes]
    settings = itertools.product(devices, args.modes, args.variants, shapes, args.batch_sizes)
    return [
        [Case(model, mode, variant, device, *shape, batch_size, args.threads) for model in models]
        for device, mode, variant, shape, batch_size in settings
    ]


def plan_originals(device: str, threads: int) -> list[list[Case]]:
    """Groups of networks for the preset ``originals``."""

    def case(
        model: str,
        mode: str,
        variant: str = 'eager',
        shape: tuple[int, int] = (512, 512),
        batch_size: int = 1,
    ) -> Case:
        return Case(model, mode, variant, device, *shape, batch_size, threads)

    pairs = [(f'{PLAIN}:{name}', name) for name in ORIGINALS]
    groups = [[case(name, 'inference') for name in (*itertools.chain(*pairs), *RIVALS)]]
    # Not all at once: training needs memory for each of them.
    groups += [[case(name, 'training') for name in pair] for pair in pairs]
    groups += [[case(name, 'training') for name in (ORIGINALS[0], ORIGINALS[1], *RIVALS)]]
    if torch.device(device).type == 'cuda':
        groups += [[case(n, 'training', 'amp', batch_size=16) for n in pair] for pair in pairs]
    for name in ORIGINALS[:2]:
        groups += [[case(name, 'inference'), case(name, 'inference', 'amp')]]
        groups += [[case(name, 'inference', shape=(side, side))] for side in SIDES]
        groups += [[case(name, 'inference', shape=shape) for shape in AWKWARD]]
    return groups


def as_shape(text: str) -> tuple[int, int]:
    """Height and width from ``224`` or ``800x1344``."""
    parts = text.split('x')
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f'--sizes takes sizes such as 224 or 800x1344, got {text!r}')
    return int(parts[0]), int(parts[-1])


def check_device(name: str) -> None:
    """Raise a ``ValueError`` if there is no such device."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f'there is no device {name!r}; use cpu, cuda:0, ...') from error
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ValueError(f'--devices {name}: torch sees {found} GPUs here; use --devices cpu')


def run(args: argparse.Namespace, groups: list[list[Case]], results: ResultFile) -> None:
    """Measure what is missing, until the budget is used up."""
    common = dict(torch=torch.__version__, date=date.today().isoformat())
    end = float('inf') if args.budget is None else time.monotonic() + 60 * args.budget
    missing = {case for group in groups for case in group if not results.is_done(case)}
    with tqdm(total=len(missing), unit='case') as progress:
        for group in groups:
            # What an earlier group has measured stays as it is, with its reference.
            todo = [case for case in group if not results.is_done(case)]
            if not todo or time.monotonic() >= end:
                continue
            case = todo[0]
            setting = f'{case.mode} {case.variant} {case.height}x{case.width} x{case.batch_size}'
            # The reference runs again if others are compared with it.
            cases = [group[0], *(case for case in todo if case != group[0])]
            measured = measure_group(
                cases,
                args.turns,
                args.warmup,
                lambda word, setting=setting: progress.set_postfix_str(f'{setting}, {word}'),
            )
            common['machine'] = describe_machine(case.device)
            results.add(
                {**row, **common}
                for row in measured
                if Case(*(row[name] for name in Case._fields)) in todo
            )
            progress.update(len(todo))


def main() -> None:
    """Run the command."""
    args = parse_args()
    out = args.out or str(Path(args.report or 'work_dirs') / 'results.csv')
    with errors_as_messages():
        groups = plan(args)
        results = ResultFile(out, {describe_machine(group[0].device) for group in groups})
    try:
        run(args, groups, results)
    except KeyboardInterrupt:
        sys.exit(f'\ninterrupted; {out} has what was measured, the same command goes on from there')
    cases = {tuple(map(str, case)) for group in groups for case in group}
    rows = [row for row in results.rows if tuple(row[name] for name in Case._fields) in cases]
    columns = (*Case._fields, 'img_per_s', 'spread', 'ratio', 'memory_mib', 'status')
    print(tabulate([[row[name] for name in columns] for row in rows], columns))
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
        page = write_report(rows, Path(args.report), shlex.join(['python', *sys.argv]))
        print(f'page in {page}')
    failed = {row['status'] for row in rows} - set(DONE)
    if len(rows) < len(cases):
        left = f'{len(cases) - len(rows)} of {len(cases)} cases'
        print(f'the budget is used up, {left} are left; the same command goes on')
    if failed:
        sys.exit('error: ' + '; '.join(sorted(failed)))


if __name__ == '__main__':
    main()
