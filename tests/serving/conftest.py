"""Models and images of the tests of the page."""

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

import mmfreq
from mmfreq.serving.network import Network

SEGMENTOR = 'tests/small/upernet.py'


@pytest.fixture(autouse=True)
def scope():
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='package')
def segmentor():
    torch.manual_seed(0)
    return Network(mmfreq.init_model(SEGMENTOR, device='cpu'))


@pytest.fixture(scope='package')
def photo(tmp_path_factory):
    """A file of 96 x 72 pixels."""
    path = tmp_path_factory.mktemp('photo') / 'photo.png'
    small = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    Image.fromarray(small).resize((96, 72)).save(path)
    return path
