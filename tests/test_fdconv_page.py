"""docs/fdconv.md as it stands: its blocks run and print what the page says of them."""

import re
import shlex

import pytest
from pages import blocks, desk, shell

BLOCKS = blocks('docs/fdconv.md')


@pytest.mark.thorough
def test_blocks_run(tmp_path, monkeypatch):
    folder = desk(tmp_path, monkeypatch)
    python, config, flops = BLOCKS
    printed = shell(f'python -c {shlex.quote(python.text)}', folder)
    errors = re.findall(r"'(\d+e[-+]\d+)'", printed)
    assert len(errors) == 4 and all(float(error) <= 1e-5 for error in errors)
    printed = shell(f'python -c {shlex.quote(config.text)}', folder)
    assert "mmdet.models.backbones.swin.SwinTransformer'> FDLinear" in printed
    assert 'dynamic, which adds 6,026,736 parameters' in printed
    assert '30.33 M' in shell(flops.text, folder)  # 27.52 M and 2.81 M
