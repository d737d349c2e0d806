"""README.md as it stands: its blocks run, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from pages import blocks, desk, links, shell
from PIL import Image

import mmfreq
from mmfreq.datasets.mini import render_scene

PAGES = ['README.md', 'CONTRIBUTING.md', *map(str, sorted(Path('docs').rglob('*.md')))]
BLOCKS = blocks('README.md')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with what the README names: images, and a checkpoint of its config."""
    model = mmfreq.init_model('upernet_gfnet_h_s_ade20k', device='cpu')
    torch.save(model.state_dict(), tmp_path / 'iter_160000.pth')
    (tmp_path / 'photos').mkdir()
    for i, name in enumerate(('street.jpg', 'photos/a.jpg', 'photos/b.png')):
        Image.fromarray(render_scene((96, 128), (i,)).image).save(tmp_path / name)
    return desk(tmp_path, monkeypatch)


def test_it_is_short():
    assert len(Path('README.md').read_text().splitlines()) <= 150


@pytest.mark.parametrize('page', PAGES)
def test_links(page):
    missing = [str(path) for path in links(page) if not path.exists()]
    assert not missing


def test_what_is_not_run_here_says_why():
    for block in BLOCKS:
        if block.note:
            assert re.match('not run: needs|run by tests/', block.note), block.note
            assert all(Path(path).exists() for path in re.findall(r'tests/[\w/.]*\w', block.note))
    (own,) = [block.text for block in BLOCKS if 'test_your_data' in block.note]
    assert set(own.splitlines()) <= set(Path('docs/your_data.md').read_text().splitlines())


@pytest.mark.thorough
def test_blocks_run(folder):
    for block in BLOCKS:
        if not block.note:
            python = f'python -c {shlex.quote(block.text)}'
            shell(python if block.language == 'python' else block.text, folder)
    assert len(list((folder / 'predictions').glob('*_overlay.jpg'))) == 3
    assert (folder / 'work_dirs/onnx/upernet_gfnet_h_s_ade20k.onnx').is_file()
    assert list((folder / 'work_dirs/try').glob('iter_*.pth'))
