"""Train several networks under one recipe, with several seeds, and compare them.

Each run is trained, its best checkpoint by the validation set is tested once, and result.json is
written into its folder. A run that was interrupted goes on where it stopped when the same command
is given again; several such commands, as on several GPUs, share the runs.
"""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from tqdm import tqdm

import mmfreq
from mmfreq.comparison import report
from mmfreq.comparison.recipe import Recipe, read_recipe
from mmfreq.comparison.results import summarize
from mmfreq.comparison.runs import Run, perform, runs_of
from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.engine.launch import LAUNCHERS
from mmfreq.inspection.samples import write_sheet
from mmfreq.preemption import REQUEUE
from mmfreq.utils.atomic import atomic_write

__all__ = ['main']

EXAMPLE = """\
  mmfreq compare configs/comparisons/camvid_fpn.yml --data-root data/camvid
  mmfreq compare configs/comparisons/camvid_fpn.yml --report
  GPUS=4 TIME=8:00:00 mmfreq compare configs/comparisons/camvid_fpn.yml --slurm PARTITION

a recipe:
  configs:                      # paths relative to the recipe, or names
    resnet-18: fpn_resnet18.py  # the others are compared with the first
    gfnet: fpn_gfnet.py
  metric: mIoU                  # as the validation logs it
  seeds: [0, 1, 2]
  options: {max_iters: 4000}    # as --cfg-options, for all"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('recipe', help='YAML file, see below')
    parser.add_argument('--out', metavar='DIR', help='default: work_dirs/<recipe>')
    parser.add_argument('--data-root', metavar='PATH', help="in place of the configs'")
    parser.add_argument(
        '--report', action='store_true', help='train nothing, write what the finished runs say'
    )
    parser.add_argument(
        '--slurm',
        metavar='PARTITION',
        help='submit an array of jobs, one for each run that is left, with the settings of '
        'tools/slurm_run.sh',
    )
    parser.add_argument('--task', type=int, metavar='N', help='the N-th run only, as a job does')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='default: none')
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        recipe = read_recipe(args.recipe)
        out = Path(args.out or Path('work_dirs') / Path(args.recipe).stem)
        runs = runs_of(recipe, out, args.data_root)
        if args.slurm:
            submit(args, out, [i for i, run in enumerate(runs) if run.result is None])
            return
        if args.task is None and 'SLURM_ARRAY_TASK_ID' in os.environ:
            args.task = int(os.environ['SLURM_ARRAY_TASK_ID'])
        if args.task is not None:
            if not 0 <= args.task < len(runs):
                raise ValueError(f'--task must be below {len(runs)}, the number of runs')
            sys.exit(perform(runs[args.task], args.launcher))
        try:
            failed = [] if args.report else perform_all(runs)
        except KeyboardInterrupt:
            sys.exit(f'\ninterrupted; {out} has what is done, the same command goes on from there')
        write(recipe, runs, out)
    if failed:
        sys.exit('error: ' + '; '.join(failed))


def perform_all(runs: list[Run]) -> list[str]:
    """Go through the runs; returns what is to be said about those that failed."""
    failed = []
    bar = tqdm(runs, unit='run')
    for run in bar:
        bar.set_postfix_str(f'{run}: tail -f {run.folder / "output.log"}')
        try:
            status = perform(run)
        except (ValueError, OSError) as error:  # of its config
            failed.append(f'{run}: {error}')
            continue
        if status == REQUEUE:
            sys.exit(REQUEUE)
        if status:
            failed.append(f'{run} ended with status {status}, see {run.folder / "output.log"}')
    return failed


def write(recipe: Recipe, runs: list[Run], out: Path) -> None:
    """Write tables, figures and predictions of the runs that are done, and print the table."""
    done = [run for run in runs if run.result is not None]
    if not done:
        raise ValueError(f'no run in {out} is done')
    for run in done:
        run.check_unchanged()
    results = [run.result or {} for run in done]
    names = [name for name in recipe.configs if any(r['name'] == name for r in results)]
    summaries = summarize(results, names)
    text = report.table(summaries, recipe.metric)
    for name, content in (('runs.csv', report.runs_csv(results)), ('table.md', text + '\n')):
        with atomic_write(out / name) as file:
            file.write(content.encode())
    report.save_figure(report.curves(results, names), out / 'curves.png')
    report.save_figure(report.scores(results, summaries), out / 'scores.png')
    one = {run.name: run for run in reversed(done)}  # the first seed that is done
    write_sheet(report.samples([one[name] for name in names]), out / 'samples.jpg')
    print(text)
    print(f'{len(results)} of {len(runs)} runs are done; runs.csv, table.md, pictures: {out}')


def submit(args: argparse.Namespace, out: Path, left: list[int]) -> None:
    """Submit an array of batch jobs that go back to the queue when they are pre-empted."""
    script = Path(mmfreq.__file__).parents[1] / 'tools' / 'slurm_run.sh'
    if not script.is_file():
        raise FileNotFoundError(f'--slurm needs a clone of the repository: there is no {script}')
    if not left:
        print('all runs are done')
        return
    array = f'--array={",".join(map(str, left))}'
    settings = {
        'REQUEUE': '1',
        'LOG': str(out / 'slurm-%A_%a.log'),
        'PYTHON': sys.executable,
        'SRUN_ARGS': f'{array} {os.environ.get("SRUN_ARGS", "")}',
    }
    command = ['bash', script, args.slurm, 'compare', 'compare.py', args.recipe, '--out', out]
    command += ['--data-root', args.data_root] if args.data_root else []
    command = [str(part) for part in command]
    print(f'{array}: {shlex.join(command)}')
    done = subprocess.run(command, env={**os.environ, **settings})
    if done.returncode:
        raise ValueError(f'sbatch ended with status {done.returncode}')
