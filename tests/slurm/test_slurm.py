"""The project's own scripts on a real Slurm with two nodes."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from folders import removed_folder
from process import ADE, output, run

from mmfreq.utils import read_checkpoint

STEPS = 24
TWO_NODES = dict(GPUS='2', GPUS_PER_NODE='1', CPUS_PER_TASK='1', GRES='', MASTER_ADDR='127.0.0.1')
OPTIONS = [
    f'train_cfg.max_iters={STEPS}',
    'default_hooks.checkpoint.interval=20',
    'randomness.seed=3',
    'default_hooks.visualization.draw=False',
]


@pytest.fixture(scope='module')
def data(mini_data):
    """Real images where there are some, otherwise rendered ones."""
    if 'MMFREQ_SHARED' in os.environ:
        return Path(os.environ['MMFREQ_SHARED']) / 'data/ade20k_mini/ADEChallengeData2016'
    return mini_data / 'ADEChallengeData2016'


def options(data):
    few = [f'{split}_dataloader.dataset.indices=5' for split in ('train', 'val', 'test')]
    return ['--data-root', data, '--cfg-options', *OPTIONS, *few]


def train(data, work_dir, *more, **env):
    script = ('bash', 'tools/slurm_train.sh', env.pop('partition', 'low'), 'mmfreq', ADE, work_dir)
    return output(run(*script, '--pretrained', 'none', *more, *options(data), **TWO_NODES, **env))


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.1)


@pytest.fixture(scope='module')
def trained(cluster, data, tmp_path_factory):
    with removed_folder(tmp_path_factory, 'trained') as work_dir:
        options = dict(TIME='10', SRUN_ARGS='--comment=two-words --no-kill')
        yield work_dir, train(data, work_dir, **options)


def metric(log):
    return re.findall(r'mIoU: (\d+\.\d+)', log)[-1]


@pytest.mark.thorough
def test_training_over_two_nodes(trained):
    work_dir, log = trained
    assert (work_dir / f'iter_{STEPS}.pth').is_file()
    job = re.search(r'Slurm job (\d+), requeued 0 times; 2 tasks on n\[1-2\]', log).group(1)
    assert [path.name for path in work_dir.glob('slurm_*')] == [f'slurm_{job}']
    own = (work_dir / f'slurm_{job}' / f'slurm_{job}.log').read_text()
    assert f'Slurm job {job}' in own and metric(own) == metric(log)


@pytest.mark.thorough
def test_evaluation_over_two_nodes_and_one(trained, data):
    work_dir, log = trained
    checkpoint = work_dir / f'iter_{STEPS}.pth'
    script = ('bash', 'tools/slurm_test.sh', 'low', 'mmfreq', ADE, checkpoint)
    two = output(run(*script, *options(data), **TWO_NODES))
    one = output(run(*script, *options(data), **TWO_NODES | dict(GPUS='1')))
    assert '2 tasks on n[1-2]' in two and re.search(r'1 tasks on n\d', one)
    assert metric(two) == metric(one) == metric(log)


@pytest.mark.thorough
def test_preempted_job_goes_on_as_if_nothing_had_been(trained, data, tmp_path):
    submitted = train(data, tmp_path, REQUEUE='1')
    job = re.search(r'Submitted batch job (\d+)', submitted).group(1)
    log = tmp_path / f'slurm-{job}.log'

    def text():
        return log.read_text() if log.is_file() else submitted

    wait_for(lambda: f'[ 3/{STEPS}]' in text(), 90, text)
    # A job with higher priority wants both nodes.
    subprocess.run(['srun', '--partition=high', '--nodes=2', '--exclusive', 'true'], check=True)
    show = ['scontrol', 'show', 'job', job]

    def state():
        return subprocess.run(show, capture_output=True, text=True).stdout

    wait_for(lambda: 'JobState=COMPLETED' in state(), 120, lambda: state() + text())
    assert 'Restarts=1' in state()
    assert 'stopped on request, exit status 85' in text()
    assert f'Slurm job {job}, requeued 1 times' in text()
    stopped = int(re.search(r'going on from .*/iter_(\d+)\.pth', text()).group(1))
    assert 3 <= stopped < STEPS
    assert len(list(tmp_path.glob('slurm_*'))) == 1, 'one log for both parts'
    first, second = (
        read_checkpoint(folder / f'iter_{STEPS}.pth') for folder in (trained[0], tmp_path)
    )
    for part in ('state_dict', 'optimizer'):
        assert equal(first[part], second[part])


@pytest.mark.thorough
def test_an_array_of_jobs_does_the_runs_of_a_comparison(cluster, data, tmp_path):
    recipe = tmp_path / 'recipe.yml'
    small = Path(ADE).resolve()
    recipe.write_text(
        f'configs: {{a: {small}, b: {small}}}\nmetric: mIoU\nseeds: [3]\noptions:\n'
        '  train_cfg.max_iters: 2\n  train_cfg.val_interval: 2\n'
        '  train_dataloader.dataset.indices: 5\n  val_dataloader.dataset.indices: 5\n'
        '  test_dataloader.dataset.indices: 5\n'
        'conditions: {small: {options: {scale: [64, 48]}}}\n'
    )
    where = ('--out', tmp_path / 'out', '--data-root', data)
    compare = (sys.executable, 'tools/compare.py', recipe, *where)
    submitted = output(run(*compare, '--slurm', 'low', **TWO_NODES))
    job = re.search(r'Submitted batch job (\d+)', submitted).group(1)

    def logs():
        return ''.join(path.read_text() for path in tmp_path.glob(f'out/slurm-{job}_*.log'))

    def waiting():
        return subprocess.run(['squeue', '-h', '-j', job], capture_output=True, text=True).stdout

    wait_for(lambda: len(list(tmp_path.glob('out/*/seed_3/result.json'))) == 2, 240, logs)
    wait_for(lambda: not waiting(), 120, waiting)
    assert '2 of 2 trials are done' in output(run(*compare, '--report'))
    assert '2 of 2 runs are done' in output(run(*compare, '--report'))
    assert 'all runs are done' in output(run(*compare, '--slurm', 'low', **TWO_NODES))


TOGETHER = """
import os, sys, time
from pathlib import Path
import torch
from mmengine.config import Config
from mmfreq.engine.launch import finish_distributed, prepare_distributed
prepare_distributed(Config(), 'slurm')
folder = Path(sys.argv[1])
(folder / os.environ['SLURM_JOB_ID']).touch()
while len(list(folder.iterdir())) < 2:  # both jobs have their process group now
    time.sleep(0.1)
ranks = torch.tensor([1.0 + torch.distributed.get_rank()])
torch.distributed.all_reduce(ranks)
print('sum', int(ranks))
finish_distributed()
"""


def test_two_jobs_share_a_node(cluster, tmp_path):
    """Their ports follow from the jobs' numbers."""
    options = ['--nodes=1', '--ntasks=2', '--overcommit', '--nodelist=n1', '--time=1']
    command = ['srun', *options, sys.executable, '-c', TOGETHER, tmp_path]
    env = {**os.environ, 'MASTER_ADDR': '127.0.0.1'}
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)]
    assert [job.communicate()[0].split() for job in jobs] == [['sum', '3', 'sum', '3']] * 2


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b
