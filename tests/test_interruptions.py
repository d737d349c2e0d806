"""Signals to a training, from its first moment on, and what else can end it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from process import ADE

from mmfreq import preemption
from mmfreq.engine.resume import find_checkpoints
from mmfreq.utils import read_checkpoint


def test_importing_it_loads_no_torch():
    code = 'import mmfreq.preemption, sys; print("torch" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout == 'False\n'


@pytest.fixture
def start(mini_data, tmp_path):
    """Starts a training and waits for a text in its output, or for seconds."""
    begun = []
    root = Path(shutil.copytree(mini_data / 'ADEChallengeData2016', tmp_path / 'data'))

    def start(until, *options):
        command = ['tools/train.py', ADE, '--data-root', root, '--work-dir', tmp_path / 'run']
        command += ['--pretrained', 'none', '--resume', '--cfg-options']
        command += ['train_cfg.max_iters=500', 'default_hooks.visualization.draw=False', *options]
        log = (tmp_path / 'log').open('w')
        process = subprocess.Popen(
            [sys.executable, '-u', *map(str, command)], stdout=log, stderr=subprocess.STDOUT
        )
        begun.append(process)
        if isinstance(until, float):
            time.sleep(until)
        while isinstance(until, str) and until not in (tmp_path / 'log').read_text():
            assert process.poll() is None, (tmp_path / 'log').read_text()[-2000:]
            time.sleep(0.02)
        return process, tmp_path / 'log'

    yield start
    for process in begun:
        process.kill()


def test_during_the_imports(start):
    process, _ = start(0.6)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(30) == preemption.REQUEUE


@pytest.mark.thorough
def test_within_one_step_and_again_while_saving(start, tmp_path):
    process, log = start('[  3/500]')
    process.send_signal(signal.SIGTERM)
    for _ in range(20):  # more of them do no harm
        time.sleep(0.02)
        process.send_signal(signal.SIGUSR1)
        if process.poll() is not None:
            break
    assert process.wait(60) == preemption.REQUEUE
    text = log.read_text()
    (saved,) = (tmp_path / 'run').glob('iter_*.pth')
    last = int(re.findall(r'\[ *(\d+)/500\]', text)[-1])
    assert saved.name == f'iter_{last}.pth' and last <= 5
    assert f'exit status {preemption.REQUEUE}' in text.splitlines()[-1]


def test_a_worker_outlives_a_signal_but_not_its_parent():
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        preemption.serve()
        os.write(writer, b'ready')
        time.sleep(60)
        os._exit(1)
    assert os.read(reader, 5) == b'ready'
    code = f'import os; os.kill({child}, 10); os.kill({child}, 15)'
    subprocess.run([sys.executable, '-c', code], check=True)
    time.sleep(0.3)
    assert os.waitpid(child, os.WNOHANG) == (0, 0), 'it ended with the signal of another process'
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0) == (child, 0)


def last_lines(log, tmp_path):
    """Of what the tool printed, and of the log in the run's folder."""
    own = next((tmp_path / 'run').glob('*/*.log'))
    return [path.read_text().strip().splitlines()[-1] for path in (log, own)]


@pytest.mark.thorough
def test_a_data_file_that_vanishes(start, tmp_path):
    process, log = start('[  1/500]', 'default_hooks.checkpoint.interval=1')
    (tmp_path / 'data/images/training/000003.jpg').unlink()
    assert process.wait(60) == 1
    for line in last_lines(log, tmp_path):
        assert re.search(r'error: the sample of .*000003\.jpg, .* No such file', line), line
    newest = find_checkpoints(tmp_path / 'run')[0]
    assert read_checkpoint(newest)['meta']['iter'] >= 1


@pytest.mark.thorough
def test_a_killed_worker(start, tmp_path):
    process, log = start('[  1/500]', 'train_dataloader.num_workers=1')
    children = ['ps', '--ppid', str(process.pid), '-o', 'pid=']
    for pid in subprocess.run(children, capture_output=True, text=True).stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    assert process.wait(60) == 1
    for line in last_lines(log, tmp_path):
        assert re.search(
            r'error: .*DataLoader worker .*(killed by signal|exited unexpectedly)', line
        )


@pytest.mark.thorough
def test_a_work_dir_that_cannot_be_written(start, tmp_path):
    (tmp_path / 'run').write_text('not a folder')
    process, log = start(0.0)
    assert process.wait(60) == 1
    last = log.read_text().splitlines()[-1]
    assert last.startswith('error: ') and str(tmp_path / 'run') in last
