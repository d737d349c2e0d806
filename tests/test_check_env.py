import importlib
import subprocess
import sys
import types

import pytest

from mmfreq import check_env


def broken():
    return {finding.name: finding for finding in check_env.check_environment() if finding.fix}


def test_this_environment_fits():
    done = subprocess.run(
        [sys.executable, '-m', 'mmfreq.check_env'], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    for name in ('python', 'torch', 'mmengine', 'mmcv.ops', 'mmdet', 'mmseg', 'mmpretrain'):
        assert f'ok      {name} ' in done.stdout
    assert done.stdout.splitlines()[-1] == 'everything fits together'


@pytest.fixture
def failing_import(monkeypatch):
    def fail(module, error):
        real = importlib.import_module

        def replacement(name, *args):
            if name == module:
                raise error
            return real(name, *args)

        monkeypatch.setattr(importlib, 'import_module', replacement)

    return fail


def test_operators_of_another_torch(failing_import):
    failing_import('mmcv.ops', ImportError('_ext.so: undefined symbol: _ZN3c10'))
    finding = broken()['mmcv.ops']
    assert finding.found.startswith('built for another torch: ') and 'make setup' in finding.fix


def test_mmcv_without_operators(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == 'mmcv._ext' else find_spec(name)
    )
    assert broken()['mmcv.ops'].found == 'mmcv was built without its operators'


def test_operators_that_give_wrong_results(monkeypatch):
    ops = types.SimpleNamespace(nms=lambda boxes, scores, threshold: (boxes, None))
    monkeypatch.setitem(sys.modules, 'mmcv.ops', ops)
    assert broken()['mmcv.ops'].found == 'RuntimeError: nms gives a wrong result'


def test_torchvision_of_another_torch(failing_import):
    failing_import('torchvision', RuntimeError('operator torchvision::nms does not exist'))
    assert 'torchvision::nms' in broken()['torchvision'].found


@pytest.mark.parametrize(
    ('versions', 'found', 'fix'),
    [
        ({'onedl-mmdetection': ''}, 'not installed', "pip install 'onedl-mmdetection>=3.5.1'"),
        ({'mmdet': '3.3.0'}, 'overwrite each other', 'pip uninstall onedl-mmdetection mmdet'),
        ({'onedl-mmdetection': '3.4.9'}, 'onedl-mmdetection 3.4.9', 'pip install --upgrade'),
    ],
)
def test_distributions(monkeypatch, versions, found, fix):
    real = check_env._version
    monkeypatch.setattr(check_env, '_version', lambda name: versions.get(name, real(name)))
    finding = broken()['mmdet']
    assert found in finding.found and fix in finding.fix


def test_exit_status_and_report(failing_import, monkeypatch, capsys):
    failing_import('fvcore', ImportError('No module named fvcore'))
    monkeypatch.setattr(sys, 'argv', ['check_env'])
    assert check_env.main() == 1
    out = capsys.readouterr().out
    assert 'BROKEN  fvcore' in out and 'fix: pip install fvcore' in out
    assert out.splitlines()[-1].startswith('1 of ')
