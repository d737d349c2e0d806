"""The installation says what is missing, and does nothing when it is done."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools.config.setupcfg import read_configuration

BASIC_TOOLS = ('bash', 'cat', 'cksum', 'dirname', 'grep', 'head', 'nproc', 'rm')


@pytest.fixture
def checkout(tmp_path):
    """The files that the installation reads, and a PATH with nothing but basic tools."""
    for name in ('setup.cfg', 'pyproject.toml', 'Makefile'):
        shutil.copy(name, tmp_path)
    shutil.copytree('tools/setup', tmp_path / 'tools/setup')
    (tmp_path / 'bin').mkdir()
    for tool in BASIC_TOOLS:
        (tmp_path / 'bin' / tool).symlink_to(shutil.which(tool))
    return tmp_path


def install(checkout, **env):
    command = [shutil.which('bash'), 'tools/setup/install.sh']
    env = {'PATH': str(checkout / 'bin'), 'HOME': str(checkout), **env}
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)


def script(checkout, name, content):
    path = checkout / 'bin' / name
    path.write_text(f'#!{shutil.which("bash")}\n{content}\n')
    path.chmod(0o755)


def test_no_python(checkout):
    done = install(checkout)
    assert done.returncode == 1
    assert "'python3' not found; install Python 3.10 or newer" in done.stderr


def test_old_python(checkout):
    script(checkout, 'python3', '[ "$1" = --version ] && echo "Python 3.9.2"; exit 1')
    done = install(checkout)
    assert done.returncode == 1 and 'Python 3.9.2 is too old' in done.stderr


def test_no_compiler(checkout):
    done = install(checkout, PYTHON=sys.executable)
    assert done.returncode == 1
    assert 'no C++ compiler found' in done.stderr and 'apt-get install g++' in done.stderr
    assert not (checkout / '.venv').exists()


def test_no_python_headers(checkout):
    script(checkout, 'g++', 'exit 0')
    script(
        checkout,
        'python3',
        f'case "$*" in *sysconfig*) echo /nowhere;; *) exec {sys.executable} "$@";; esac',
    )
    done = install(checkout)
    assert done.returncode == 1 and 'Python.h not found in /nowhere' in done.stderr


def test_second_call_does_nothing(checkout):
    """With the stamp of a finished set-up in place, nothing is looked for or installed."""
    script(checkout, 'python', 'exit 0')
    (checkout / '.venv/bin').mkdir(parents=True)
    shutil.copy(checkout / 'bin/python', checkout / '.venv/bin/python')
    recipe = subprocess.run(
        'cat tools/setup/constraints.txt setup.cfg pyproject.toml tools/setup/install.sh | cksum',
        shell=True,
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (checkout / '.venv/.mmfreq-setup').write_text(f'{recipe} {checkout}\n')
    done = install(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    with (checkout / 'setup.cfg').open('a') as file:
        file.write('\n# changed\n')
    assert install(checkout).returncode == 1  # sets up again


def test_another_torch(checkout):
    """It takes the place of the pinned one and of what comes with that; the rest stays pinned."""
    (checkout / 'bin/mkdir').symlink_to(shutil.which('mkdir'))
    script(checkout, 'g++', 'exit 0')
    script(checkout, 'python', f'echo "$@" >>{checkout}/calls; exit 1')
    (checkout / '.venv/bin').mkdir(parents=True)
    shutil.copy(checkout / 'bin/python', checkout / '.venv/bin/python')
    done = install(checkout, PYTHON=sys.executable, TORCH='2.6.0')
    assert done.returncode == 1  # the Python of this .venv installs nothing
    lock = checkout / '.cache/mmfreq/constraints-torch2.6.0.txt'
    assert f'install --constraint {lock} torch torchvision' in (checkout / 'calls').read_text()
    ours = set(Path('tools/setup/constraints.txt').read_text().splitlines())
    others = set(lock.read_text().splitlines())
    assert others - ours == {'torch==2.6.0'}
    left = {line.partition('==')[0] for line in ours - others}
    assert {'torch', 'torchvision', 'triton', 'sympy', 'nvidia-cublas', 'cuda-toolkit'} <= left
    assert all(re.match('torch|triton|sympy|nvidia-|cuda-', name) for name in left)


@pytest.mark.parametrize('python_version', ['3.10', '3.11', '3.12'])
def test_the_lock_has_all_that_is_asked_for(python_version):
    """One version of each package that setup.cfg and the script name, for each Python."""
    pins = [
        Requirement(line)
        for line in Path('tools/setup/constraints.txt').read_text().splitlines()
        if not line.startswith('#')
    ]
    here = {'python_version': python_version}
    names = [
        canonicalize_name(pin.name) for pin in pins if not pin.marker or pin.marker.evaluate(here)
    ]
    assert len(names) == len(set(names))
    settings = read_configuration('setup.cfg')['options']
    extras = settings['extras_require'].values()
    asked = [*settings['install_requires'], *(line for extra in extras for line in extra)]
    wanted = [r for r in map(Requirement, asked) if not r.marker or r.marker.evaluate(here)]
    assert {canonicalize_name(requirement.name) for requirement in wanted} <= set(names)


def test_versions_are_pinned():
    lines = Path('tools/setup/constraints.txt').read_text().splitlines()
    pins = dict(
        line.split(';')[0].strip().split('==') for line in lines if not line.startswith('#')
    )
    for name in ('torch', 'torchvision', 'onedl-mmcv', 'onedl-mmengine', 'setuptools', 'ruff'):
        assert name in pins
    assert int(pins['setuptools'].split('.')[0]) < 82  # torch 2.11 and mmcv's setup need this


@pytest.mark.parametrize('path', [*sorted(Path('.').glob('tools/**/*.sh')), Path('.ci/run')])
def test_scripts_are_executable_and_parse(path):
    assert os.access(path, os.X_OK)
    subprocess.run(['bash', '-n', path], check=True)
