"""docs/add_a_backbone.md as it stands: its files are written, its commands run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path('docs/add_a_backbone.md').read_text()
FILES = dict(re.findall(r'```python file=(\S+)\n(.*?)```', PAGE, re.DOTALL))
MOVED = dict(re.findall(r'```\w+ file=(\S+) mmfreq\n(.*?)```', PAGE, re.DOTALL))
COMMANDS = [
    command
    for block in re.findall(r'```bash run\n(.*?)```', PAGE, re.DOTALL)
    for command in block.strip().splitlines()
]


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def beside(tmp_path):
    """A folder for the project, with mmfreq's clone beside it."""
    (tmp_path / 'mmfreq').symlink_to(Path.cwd())
    folder = tmp_path / 'project'
    folder.mkdir()
    return folder


@pytest.mark.thorough
def test_own_project(beside):
    write(beside, FILES)
    script = 'set -ex\n' + '\n'.join(COMMANDS)
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    done = subprocess.run(
        ['bash', '-c', script],
        cwd=beside,
        env={**os.environ, 'PATH': path},
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert re.search(r'mIoU: ', said) and '3 passed' in said
    assert (beside / 'gaussnet.onnx').is_file()


@pytest.mark.thorough
def test_moved_into_mmfreq(tmp_path):
    """New files only: zoo, FLOPs and the tests of all backbones and configs find them."""
    listed = subprocess.run(['git', 'ls-files'], capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if Path(name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, tmp_path / name)
    mixer = 'mmfreq.models.mixers.gaussian'
    backbone = FILES['gaussnet/backbone.py'].replace('gaussnet.mixer', mixer)
    new = {
        'mmfreq/models/mixers/gaussian.py': FILES['gaussnet/mixer.py'],
        'mmfreq/models/backbones/gaussnet.py': backbone,
        **MOVED,
    }
    assert not [name for name in new if Path(name).exists()]
    for name in new:
        assert f'`{name}`' in PAGE.partition('## Into mmfreq')[2], f'{name} is not in the table'
    write(tmp_path, new)

    def run(*command):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, 'PYTHONPATH': str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    assert 'gaussnet-s' in run('tools/analysis_tools/get_flops.py', '--backbone', 'gaussnet-s')
    tests = ('tests/models/test_backbones.py', 'tests/models/test_options.py')
    found = run('-m', 'pytest', *tests, '-k', 'GaussNet')
    assert ' passed' in found and ' failed' not in found
    kept = 'gaussnet and (step or channels or recipe or decay)'
    found = run('-m', 'pytest', 'tests/test_configs.py', '-k', kept)
    assert ' passed' in found and ' failed' not in found
