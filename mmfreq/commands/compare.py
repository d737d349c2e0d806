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
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from tqdm import tqdm

from mmfreq.analysis.comparisons import tables
from mmfreq.analysis.comparisons.summary import summarize
from mmfreq.comparison import report
from mmfreq.comparison.conditions import Trial, perform_trial, trials_of
from mmfreq.comparison.recipe import Recipe, dump_recipe, read_recipe
from mmfreq.comparison.runs import Run, perform, runs_of
from mmfreq.engine.command_line import add_data_root, errors_as_messages, make_parser
from mmfreq.engine.data_roots import as_arguments
from mmfreq.inspection.samples import write_sheet
from mmfreq.preemption import REQUEUE
from mmfreq.utils.atomic import atomic_write
from mmfreq.utils.config_files import configs_folder

__all__ = ['main']

Work = tuple[Run | Trial, Callable[[], int]]

EXAMPLE = """\
  mmfreq compare configs/comparisons/camvid_fpn.yml --data-root data/camvid
  mmfreq compare configs/comparisons/camvid_fpn.yml --report  # of what is done so far
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
    add_data_root(parser)
    parser.add_argument(
        '--report', action='store_true', help='train nothing, write what the finished runs say'
    )
    parser.add_argument(
        '--slurm',
        metavar='PARTITION',
        help='submit an array of jobs, one for each run that is left, with the settings of '
        'tools/slurm_run.sh',
    )
    parser.add_argument(
        '--launcher',
        choices=('none', 'slurm'),
        default='none',
        help='slurm: this is a job of such an array and does its run',
    )
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        recipe = read_recipe(args.recipe)
        out = Path(args.out or Path('work_dirs') / Path(args.recipe).stem)
        runs = runs_of(recipe, out, args.data_root or ())
        if args.slurm:
            submit(args, recipe, out, runs)
            return
        if args.launcher == 'slurm':
            if 'SLURM_ARRAY_TASK_ID' not in os.environ:
                raise ValueError('--launcher slurm is for jobs that --slurm submits')
            failed = perform_in_job(runs[int(os.environ['SLURM_ARRAY_TASK_ID'])])
            sys.exit('\n'.join(f'error: {message}' for message in failed) or 0)
        try:
            failed = [] if args.report else perform_all(runs)
        except KeyboardInterrupt:
            sys.exit(
                f'\ninterrupted; the same command goes on from the newest checkpoints in {out}'
            )
        for message in failed:
            print(f'error: {message}', file=sys.stderr)
        write(recipe, runs, out)
    if failed:
        sys.exit(1)


def check(runs: list[Run]) -> None:
    """Read all configs and conditions, so that what cannot be is said before a training."""
    for run in runs:
        run.check_unchanged()
    for trial in trials_of(runs):
        if trial.run.seed == runs[0].seed and trial.result is None:
            trial.config_text()


def perform_all(runs: list[Run]) -> list[str]:
    """Go through runs, then trials; returns what is to be said about those that failed."""
    check(runs)
    trials = trials_of(runs)
    works: list[Work] = [(run, partial(perform, run)) for run in runs]
    works += [(trial, partial(perform_trial, trial)) for trial in trials]
    failed = []
    bar = tqdm(works, unit='run')
    for item, work in bar:
        bar.set_postfix_str(f'{item}: tail -f {item.folder / "output.log"}')
        failed += complaints(item, work)
    return failed


def perform_in_job(run: Run) -> list[str]:
    """Do a run and its trials as a job of an array; returns what is to be said about failures."""
    failed = complaints(run, partial(perform, run, 'slurm'))
    if not failed and os.environ.get('SLURM_PROCID', '0') == '0':
        for trial in trials_of([run]):
            failed += complaints(trial, partial(perform_trial, trial))
    return failed


def complaints(item: Run | Trial, work: Callable[[], int]) -> list[str]:
    """Do a run or a trial; returns what is to be said if it fails, and ends if it is to stop."""
    try:
        status = work()
    except (ValueError, OSError) as error:
        return [f'{item}: {error}']
    if status == REQUEUE:
        sys.exit(REQUEUE)
    log = item.folder / 'output.log'
    return [f'{item} ended with status {status}, see {log}'] if status else []


def write(recipe: Recipe, runs: list[Run], out: Path) -> None:
    """Write tables, figures and predictions of the runs that are done, and print the table."""
    done, results = [], []
    for run in runs:
        result = run.result
        if result is None:
            continue
        run.check_unchanged()
        done.append(run)
        results.append(result)
        if run.data_roots and list(run.data_roots) != result['data_roots']:
            print(f'note: {run} was trained with --data-root {result["data_roots"]}')
    if not done:
        raise ValueError(f'no run in {out} is done')
    one = {run.name: run for run in reversed(done)}  # the first seed that is done
    names = [name for name in recipe.configs if name in one]
    summaries = summarize(results, names)
    text = tables.runs_table(summaries, recipe.metric, results[0]['test'] is not None)
    for name, content in (('runs.csv', tables.runs_csv(results)), ('table.md', text + '\n')):
        with atomic_write(out / name) as file:
            file.write(content.encode())
    print(text)
    print(f'{len(results)} of {len(runs)} runs are done; runs.csv, table.md, pictures: {out}')
    write_trials(done, names, out)
    report.save_figure(report.curves(results, names), out / 'curves.png')
    report.save_figure(report.scores(results, summaries), out / 'scores.png')
    picture = report.samples([one[name] for name in names])
    if picture is not None:
        write_sheet(picture, out / 'samples.jpg')


def write_trials(runs: list[Run], names: list[str], out: Path) -> None:
    """Write what the trials of these runs say, if there are any."""
    results = [trial.result for trial in trials_of(runs)]
    order = list(runs[0].recipe.conditions)
    done = sorted(
        (result for result in results if result is not None),
        key=lambda result: order.index(result['condition']),
    )
    files = ('conditions.csv', 'conditions.md', 'conditions.png')
    if not done:
        for name in files:  # of conditions that were changed or removed
            (out / name).unlink(missing_ok=True)
        if results:
            print(f'0 of {len(results)} trials are done')
        return
    tested = [name for name in names if any(result['name'] == name for result in done)]
    table = tables.trials_table(done, tested)
    for name, content in (
        ('conditions.csv', tables.trials_csv(done)),
        ('conditions.md', table),
    ):
        with atomic_write(out / name) as file:
            file.write(f'{content.rstrip()}\n'.encode())
    print(f'{table}\n{len(done)} of {len(results)} trials are done; conditions.csv: {out}')
    report.save_figure(report.draw_trials(done, tested), out / 'conditions.png')


def submit(args: argparse.Namespace, recipe: Recipe, out: Path, runs: list[Run]) -> None:
    """Submit an array of batch jobs that go back to the queue when they are pre-empted.

    Jobs are numbers of runs of the recipe as it is now, so they get a copy.
    """
    check(runs)
    left = [
        i
        for i, run in enumerate(runs)
        if run.result is None or any(trial.result is None for trial in trials_of([run]))
    ]
    if not left:
        print('all runs are done')
        return
    copy = out / f'submitted-{datetime.now():%Y%m%d-%H%M%S}.yml'
    with atomic_write(copy) as file:
        file.write(dump_recipe(recipe).encode())
    array = f'--array={",".join(map(str, left))}'
    settings = {
        'REQUEUE': '1',
        'LOG': str(out / 'slurm-%A_%a.log'),
        'PYTHON': sys.executable,
        'SRUN_ARGS': f'{array} {os.environ.get("SRUN_ARGS", "")}',
    }
    script = configs_folder().with_name('tools') / 'slurm_run.sh'
    command = ['bash', str(script), args.slurm, 'compare', 'compare.py', str(copy)]
    command += ['--out', str(out), *as_arguments(args.data_root or ())]
    print(f'{array}: {shlex.join(command)}')
    done = subprocess.run(command, env={**os.environ, **settings})
    if done.returncode:
        raise ValueError(f'sbatch ended with status {done.returncode}')
