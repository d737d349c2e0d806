"""The benchmark as a user runs it, also when it is interrupted."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
from process import python, refusal

BENCHMARK = 'tools/benchmark.py'
QUICK = ('--sizes', 64, '--turns', 2, '--warmup', 1, '--devices', 'cpu')


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.thorough
def test_report(tmp_path):
    command = (BENCHMARK, 'affnet-et', 'resnet-50', *QUICK, '--sizes', '64x96', 128)
    done = python(*command, '--report', tmp_path)
    rows = read(tmp_path / 'results.csv')
    assert len(rows) == 4
    assert {row['status'] for row in rows} == {'ok'}
    assert {(row['height'], row['width']) for row in rows} == {('64', '96'), ('128', '128')}
    assert f'page in {tmp_path}/index.html' in done.stdout
    assert 'case' in done.stderr  # the progress bar
    page = (tmp_path / 'index.html').read_text()
    assert 'python tools/benchmark.py affnet-et resnet-50' in page
    for facts in ('cores', 'onedl-mmcv', 'torch of the results'):
        assert facts in page
    # A second call has nothing to do, a longer list measures what is new.
    before = (tmp_path / 'results.csv').read_text()
    python(*command, '--report', tmp_path)
    assert (tmp_path / 'results.csv').read_text() == before
    python(BENCHMARK, 'affnet-et', 'resnet-50', 'van-b2', *QUICK, '--out', tmp_path / 'results.csv')
    rows = read(tmp_path / 'results.csv')
    assert [row['model'] for row in rows[-3:]] == ['affnet-et', 'resnet-50', 'van-b2']


def test_out_of_memory_is_a_result(tmp_path):
    out = tmp_path / 'r.csv'
    sizes = ('--batch-sizes', 10**7, 1)
    done = python(BENCHMARK, 'affnet-et', *QUICK, *sizes, '--out', out)
    assert [row['status'] for row in read(out)] == ['out of memory', 'ok']
    assert 'out of memory' in done.stdout


@pytest.mark.thorough
def test_an_interrupted_run_goes_on(tmp_path):
    out = tmp_path / 'r.csv'
    command = (BENCHMARK, 'affnet-et', '--devices', 'cpu', '--warmup', 1, '--out', out)
    sizes = ('--turns', 6, '--sizes', 64, 96, 128, 160)
    arguments = [sys.executable, *map(str, (*command, *sizes))]
    run = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not out.exists() or len(read(out)) < 1:
        time.sleep(0.05)
        assert run.poll() is None
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode != 0
    assert 'interrupted' in errors and 'Traceback' not in errors
    kept = read(out)
    assert 1 <= len(kept) < 4
    python(*command, *sizes)
    rows = read(out)
    assert len(rows) == 4
    assert rows[: len(kept)] == kept


def test_budget(tmp_path):
    out = tmp_path / 'r.csv'
    command = (BENCHMARK, 'affnet-et', '--sizes', 64, 96, '--devices', 'cpu', '--out', out)
    done = python(*command, '--turns', 1, '--budget', 0)
    assert 'the budget is used up, 2 of 2 cases are left' in done.stdout


def test_what_no_gpu_has_measured_is_said(tmp_path):
    options = ('--preset', 'originals', '--budget', 0, '--out', tmp_path / 'r.csv')
    printed = python(BENCHMARK, *options, CUDA_VISIBLE_DEVICES='').stdout
    assert 'GPU: not measured' in printed


def test_wrong_input(tmp_path):
    for options, message in (
        (('gfnet-ti2',), 'did you mean gfnet-ti'),
        (('configs/no.py',), 'there is no config configs/no.py'),
        (('affnet-et', '--devices', 'cuda:7'), 'GPUs here; use --devices cpu'),
        (('affnet-et', '--devices', 'gpu'), "there is no device 'gpu'"),
        (('affnet-et', '--sizes', '64x'), "got '64x'"),
        (('affnet-et', '--variants', 'quick'), "got 'quick'"),
        (('affnet-et', '--batch-sizes', '0'), 'positive numbers'),
        ((), 'name at least one model'),
    ):
        assert message in refusal(BENCHMARK, *options, '--out', tmp_path / 'r.csv')
        assert not (tmp_path / 'r.csv').exists()
    # A network that fails for a size is reported, the others are measured.
    done = python(
        *(BENCHMARK, 'mmpretrain.MlpMixer', 'affnet-et', *QUICK),
        *('--out', tmp_path / 'r.csv'),
        check=False,
    )
    assert done.returncode != 0
    failed, measured = read(tmp_path / 'r.csv')
    assert failed['status'] not in ('ok', 'out of memory')
    assert measured['status'] == 'ok' and measured['ratio'] == ''
    assert failed['status'] in done.stderr
