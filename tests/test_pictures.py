"""tools/docs/draw_pictures.py, with small networks that are not trained."""

import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from mmfreq import models
from mmfreq.zoo import build_backbone

DIMS = dict(embed_dims=(8, 16, 24, 32), depths=(1, 1, 1, 1))
SMALL = {
    'GFNet': lambda size: models.GFNet(arch=dict(patch_size=4, **DIMS), img_size=size),
    'DFFormer': lambda size: models.DFFormer(arch=DIMS, img_size=size),
    'DSM': lambda size: models.DSM(arch=DIMS),
    'vHeat': lambda size: models.VHeat(arch=DIMS, img_size=size),
    'AFFNet-T': lambda size: models.AFFNet('et'),
    'ConvNeXt-atto': lambda size: build_backbone(
        dict(type='mmpretrain.ConvNeXt', arch='atto', gap_before_final_norm=False)
    ),
    'ResNet-18': lambda size: build_backbone(dict(type='mmpretrain.ResNet', depth=18)),
}


@pytest.mark.thorough
def test_every_picture_of_the_docs_is_drawn(monkeypatch):
    monkeypatch.syspath_prepend('tools/docs')
    import draw_pictures

    def trained(folder, name, size=draw_pictures.TRAINED_AT):
        network = SMALL[name](size)
        network.eval()
        return network

    monkeypatch.setattr(draw_pictures, 'trained', trained)
    drawn = {}
    for name, figure in draw_pictures.draw(Path('nowhere')):
        drawn[name] = [text.get_text() for ax in figure.axes for text in [ax.title]]
        plt.close(figure)
    sys.modules.pop('draw_pictures')
    page = Path('docs/visualization.md').read_text()
    shown = set(re.findall(r'images/(\w+\.\w+)', page))
    assert set(drawn) <= shown
    assert shown - set(drawn) == {'browse.jpg', 'curves.png', 'confusion.png'}  # of other tools
    assert any(title.startswith('stages.2') for title in drawn['filters_late.png'])
