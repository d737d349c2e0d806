"""The command mmfreq: what it offers, wrong input, and the wheel without a checkout."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from process import here, output, python, refusal

from mmfreq import __version__
from mmfreq.__main__ import COMMANDS, main


@pytest.fixture
def mmfreq(monkeypatch, capsys):
    """Runs the command in this process; returns its exit status and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['mmfreq', *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        return status or 0, capsys.readouterr().out

    return run


def test_every_command_has_help_with_an_example(mmfreq):
    for name in COMMANDS:
        status, printed = mmfreq(name, '--help')
        assert status == 0 and f'mmfreq {name}' in printed, name


@pytest.mark.thorough
def test_nothing_is_printed_that_nobody_asked_for():
    for arguments in (('list',), ('flops', 'upernet_gfnet_h_ti_ade20k')):
        assert 'OneDL' not in output(python('-m', 'mmfreq', *arguments))


def test_unknown_commands(mmfreq):
    assert mmfreq('trian')[0] == "error: there is no command 'trian'; did you mean train?"
    assert mmfreq()[0] == 2
    assert mmfreq('--version') == (0, f'{__version__}\n')


def test_lists(mmfreq):
    lines = mmfreq('list', 'gfnet-h-*')[1].splitlines()[2:]
    assert [line.split()[0] for line in lines] == ['gfnet-h-ti', 'gfnet-h-s', 'gfnet-h-b']
    assert len(mmfreq('list', '--configs', 'ssdlite*')[1].split()) == 3
    assert 'https://' in mmfreq('list', '--weights', 'dfformer-s18')[1]
    assert 'no backbone is called' in mmfreq('list', 'x')[0]


def test_configs_by_name_and_wrong_input_of_predict(tmp_path):
    predict = 'tools/predict.py'
    config = 'upernet_gfnet_h_s_ade20k'
    assert 'there is no image nowhere' in refusal(predict, config, 'a.pth', 'nowhere')
    assert 'name a checkpoint and at least one image' in refusal(predict, config, 'a.pth')
    (tmp_path / 'a.png').touch()
    assert 'did you mean' in refusal(predict, f'{config}x', 'a.pth', tmp_path / 'a.png')
    assert 'a.pth' in refusal(predict, config, tmp_path / 'a.pth', tmp_path / 'a.png')
    assert 'there is no file' in refusal(predict, tmp_path / 'a.onnx', tmp_path / 'a.png')
    (tmp_path / 'b.onnx').write_text('no graph')
    assert 'not a whole ONNX file' in refusal(predict, tmp_path / 'b.onnx', tmp_path / 'a.png')


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Built from the source distribution, so that this one is whole, too."""
    folder = tmp_path_factory.mktemp('wheel')
    sdist = f'from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})'
    subprocess.run([sys.executable, '-c', sdist], check=True, capture_output=True)
    (source,) = folder.glob('*.tar.gz')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q']
    options = ['--no-deps', '--no-build-isolation', '--wheel-dir', str(folder)]
    subprocess.run([*pip, 'wheel', *options, str(source)], check=True, capture_output=True)
    (path,) = folder.glob('*.whl')
    return path


@pytest.mark.thorough
def test_a_wheel_is_the_whole_product(wheel, mini_data, tmp_path):
    """Train, test, predict, export and predict again, with no checkout in sight."""
    installed = tmp_path / 'installed'
    zipfile.ZipFile(wheel).extractall(installed)
    assert (installed / 'mmfreq/.mim/model-index.yml').is_file()
    env = {**os.environ, 'PYTHONPATH': str(installed)}

    def run(*command):
        done = subprocess.run(
            [sys.executable, '-m', 'mmfreq', *map(str, command)],
            **dict(cwd=tmp_path, env=env, capture_output=True, text=True),
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert 'OneDL' not in output(done)
        return done.stdout

    where = 'import mmfreq; print(mmfreq.__file__)'
    found = subprocess.run(
        [sys.executable, '-c', where], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert found.stdout.startswith(str(installed))
    (tmp_path / 'own.py').write_text(
        "_base_ = 'mmfreq::mini/upernet_gfnet_h_s.py'\n"
        "model = dict(backbone=dict(arch='h-ti'),\n"
        '    decode_head=dict(in_channels=[64, 128, 256, 512]),\n'
        '    auxiliary_head=dict(in_channels=256))\n'
        'train_cfg = dict(max_iters=2, val_interval=2)\n'
    )
    root = ('--data-root', mini_data / 'ADEChallengeData2016')
    assert 'Iter(train)' in run(
        'train',
        'own.py',
        *root,
        '--work-dir',
        'run',
        '--cfg-options',
        'default_hooks.logger.interval=1',
        'param_scheduler.0.end=1',
        'param_scheduler.1.begin=1',
    )
    assert 'mIoU' in run('test', 'own.py', 'run/iter_2.pth', *root, '--work-dir', 'run')
    image = next((mini_data / 'ADEChallengeData2016/images/validation').glob('*.jpg'))
    run('predict', 'own.py', 'run/iter_2.pth', image, '--out', 'torch')
    run(
        'export',
        'own.py',
        'run/iter_2.pth',
        '--shape',
        96,
        128,
        '--images',
        image,
        '--out',
        'a.onnx',
    )
    run('predict', 'a.onnx', image, '--out', 'onnx')
    assert (tmp_path / 'onnx' / f'{image.stem}.png').is_file()
    told = json.loads((tmp_path / 'torch' / f'{image.stem}.json').read_text())
    assert sum(told['shares'].values()) == pytest.approx(1, abs=1e-4)
    assert 'gfnet-h-s' in run('list') and 'flops' in run('flops', 'upernet_gfnet_h_ti_ade20k')


@pytest.mark.thorough
def test_onnx_files_carry_their_meaning(tmp_path, mini_data):
    import onnx

    image = next((mini_data / 'ADEChallengeData2016/images/validation').glob('*.jpg'))
    path = tmp_path / 'segmentor.onnx'
    here(
        'tools/export_onnx.py',
        'tests/small/upernet.py',
        '--shape',
        64,
        96,
        '--images',
        image,
        '--out',
        path,
    )
    props = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    facts = json.loads(props['mmfreq'])
    assert facts['task'] == 'segmentation' and facts['image_size'] == [64, 96]
    assert len(facts['classes']) == len(facts['palette']) == 150 and facts['reduce_zero_label']
    assert facts['mean'] == [123.675, 116.28, 103.53] and facts['channel_order'] == 'RGB'
    assert facts['licence'] and 'export' in facts['command']
    here('tools/predict.py', path, image, '--out', tmp_path / 'out')
    assert (tmp_path / 'out/shares.csv').is_file()
    here(
        'tools/export_onnx.py',
        'affnet-et',
        '--shape',
        64,
        64,
        '--images',
        image,
        '--out',
        tmp_path / 'features.onnx',
    )
    assert 'holds features' in refusal('tools/predict.py', tmp_path / 'features.onnx', image)
