"""Pages of docs as they stand: blocks run where a reader can run them, others say why not."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from pages import blocks, desk, shell
from PIL import Image

import mmfreq
from mmfreq.datasets.mini import render_scene
from mmfreq.utils.config_files import read_model_config
from mmfreq.zoo import build_model

PAGES = [*sorted(Path('docs').rglob('*.md')), Path('CONTRIBUTING.md'), Path('SECURITY.md')]
ELSEWHERE = ('docs/fdconv.md', 'docs/your_data.md')  # tests of their own


def to_run(page):
    """Blocks that are run here; those of the README are run by its own test."""
    known = [block.text for block in blocks('README.md')]
    return [block for block in blocks(page) if not block.note and block.text not in known]


RUN = [page for page in PAGES if str(page) not in ELSEWHERE and to_run(page)]
MODELS = {  # whose checkpoints pages name
    'iter_160000.pth': 'upernet_gfnet_h_s_ade20k',
    'gfnet_h_s.pth': 'gfnet_h_s_in1k',
    'gfnet.pth': 'fpn_gfnet_h_ti_ade20k',
    'dfformer.pth': 'fpn_dfformer_s18_ade20k',
}
BACKBONES = {'gfnet-h-s.pth': 'gfnet-h-s', 'dfformer_s18.pth': 'dfformer-s18'}
PHOTOS = ('street.jpg', 'a.jpg', 'b.jpg', 'c.jpg', 'photos/d.jpg')


@pytest.mark.parametrize('page', PAGES, ids=str)
def test_what_is_not_run_here_says_why(page):
    for block in blocks(page):
        if block.note:
            assert re.match('not run: needs|run by tests/', block.note), block.note
            assert all(Path(path).exists() for path in re.findall(r'tests/[\w/.]*\w', block.note))


@pytest.mark.thorough
@pytest.mark.parametrize('page', RUN, ids=str)
def test_blocks_run(page, tmp_path, monkeypatch):
    text = page.read_text()
    folder = desk(tmp_path, monkeypatch)
    (folder / 'photos').mkdir()
    for i, name in enumerate(PHOTOS):
        Image.fromarray(render_scene((96, 128), (i,)).image).save(folder / name)
    for name, config in MODELS.items():
        if name in text:
            model = mmfreq.init_model(config, device='cpu')
            torch.save(model.state_dict(), folder / name)
    for name, backbone in BACKBONES.items():
        if name in text:
            torch.save(mmfreq.create_backbone(backbone).state_dict(), folder / name)
    for i, block in enumerate(to_run(page)):
        if block.language == 'bash':
            shell(block.text, folder)
        elif block.text.startswith('_base_'):
            path = folder / f'config_{i}.py'
            path.write_text(block.text)
            build_model(read_model_config(str(path)))
        else:
            shell(f'python -c {shlex.quote(block.text)}', folder)
