"""docs/add_a_backbone.md as it stands: its files are written, its commands run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path('docs/add_a_backbone.md').read_text()
FILES = dict(re.findall(r'```python file=(\S+)\n(.*?)```', PAGE, re.DOTALL))
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
