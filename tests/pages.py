"""Blocks of README and docs, run as a reader runs them."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Block(NamedTuple):
    """A block of code of a page; ``note`` is the comment on the line before it."""

    language: str
    text: str
    note: str


def blocks(page):
    """Blocks in bash and Python of a page."""
    pattern = r'(?:<!-- ([^\n]*) -->\n)?```(bash|python)\n(.*?)```'
    return [Block(b, c, a) for a, b, c in re.findall(pattern, Path(page).read_text(), re.DOTALL)]


def links(page):
    """Files that a page links to, as paths relative to this folder."""
    found = re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', Path(page).read_text())
    return [Path(page).parent / link for link in found]


def desk(folder, monkeypatch):
    """A folder with what a clone has, and with our commands on the path."""
    (folder / 'bin').mkdir()
    for name in ('tools', 'configs'):
        (folder / name).symlink_to(Path(name).resolve())
    for name, command in (('mmfreq', '-m mmfreq'), ('python', '')):
        path = folder / 'bin' / name
        path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {command} "$@"\n')
        path.chmod(0o755)
    monkeypatch.setenv('PATH', f'{folder}/bin:{os.environ["PATH"]}')
    monkeypatch.setenv('PYTHONPATH', str(Path.cwd()))
    return folder


def shell(command, folder):
    """Run lines of bash in a folder, return what they print."""
    done = subprocess.run(
        ['bash', '-ec', command], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f'{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}'
    return done.stdout
