"""Checkpoints of whole models whose filters are stored for another image size."""

import copy
import pickle

import pytest
import torch
from families import TINY
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import load_state_dict
from mmseg.apis import init_model
from torch import nn

from mmfreq.models.backbones.metaformer_baseline import (
    baseline_stage,
    baseline_stem,
    baseline_stem_size,
)
from mmfreq.models.backbones.resizable import ResizableBackbone
from mmfreq.models.mixers import GlobalFilter
from mmfreq.registry import MODELS

RESIZED = {name: tiny for name, tiny in TINY.items() if issubclass(tiny.func, ResizableBackbone)}
LOADERS = {
    'PyTorch': lambda model, tensors: model.load_state_dict(tensors),
    'MMEngine': lambda model, tensors: load_state_dict(model, tensors, strict=True),
}


def whole(backbone):
    model = nn.Module()
    model.backbone, model.head = backbone, nn.Linear(4, 2)
    return model.eval()


def trained(name):
    model = whole(RESIZED[name]())
    for param in model.parameters():
        nn.init.normal_(param, std=0.1)
    return model


@pytest.fixture(params=LOADERS.values(), ids=LOADERS)
def load(request):
    return request.param


@pytest.mark.parametrize('mode', ['interpolate', 'kernel'])
@pytest.mark.parametrize('name', RESIZED)
def test_features_are_those_at_run_time(name, mode, load):
    model, resized = trained(name), whole(RESIZED[name](img_size=(64, 96)))
    model.backbone.set_resize_mode(mode)
    tensors = model.state_dict()
    before = {key: tensor.clone() for key, tensor in tensors.items()}
    load(resized, tensors)
    assert resized.backbone.resize_mode == mode
    torch.testing.assert_close(dict(tensors), before, rtol=0, atol=0)
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        for ours, theirs in zip(resized.backbone(images), model.backbone(images), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_sizes_of_the_same_shape_are_told_apart(load):
    """Filters of maps of 8 and of 9 columns have the same number of them."""
    network = TINY['GFNet-flat']
    model, resized = network(img_size=(64, 128)), network(img_size=(64, 144))
    load(resized, model.state_dict())
    image = torch.randn(1, 3, 64, 144)
    for ours, theirs in zip(resized(image), model(image), strict=True):
        torch.testing.assert_close(ours, theirs)


class Unreleased(ResizableBackbone):
    """A network of someone else, of which nothing was released."""

    def __init__(self, **options):
        dims = (8, 16)
        super().__init__(
            stem=lambda in_channels, _: baseline_stem(in_channels, dims[0]),
            stage=lambda i, drop_paths, size: baseline_stage(
                i, dims, drop_paths, lambda: GlobalFilter(dims[i], size)
            ),
            stem_size=baseline_stem_size,
            embed_dims=dims,
            depths=(1, 1),
            **options,
        )


def test_a_network_without_released_files(load):
    model, resized = Unreleased(img_size=64), Unreleased(img_size=(64, 96))
    load(resized, model.state_dict())
    image = torch.randn(1, 3, 64, 96)
    for ours, theirs in zip(resized(image), model(image), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_resize_themselves(copied, load, log):
    model, other = trained('GFNet'), copied(whole(TINY['GFNet'](img_size=32)))
    load(other, model.state_dict())
    assert other.backbone.filter_sizes[0].tolist() == [8, 8]
    assert 'GFNet: resized 6 tensors' in log.records[-1].getMessage()
    log.clear()
    same = whole(TINY['GFNet']())
    load(same, model.state_dict())
    torch.testing.assert_close(dict(same.state_dict()), dict(model.state_dict()), rtol=0, atol=0)
    assert not log.records


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        ({'stages.0.blocks.0.token_mixer.weight': torch.ones(8, 4, 3, 2)}, 'token_mixer.weight: a'),
        ({'resize_mode_id': torch.tensor(9)}, 'resize_mode_id must be one number'),
        ({'filter_sizes': torch.ones(3)}, 'backbone.filter_sizes'),
    ],
)
def test_broken_filters_are_named(damage, message, load):
    tensors = trained('GFNet').state_dict() | {f'backbone.{k}': v for k, v in damage.items()}
    with pytest.raises((RuntimeError, ValueError), match=message):
        load(whole(TINY['GFNet'](img_size=32)), tensors)


def segmentor(img_size):
    backbone = dict(TINY['DFFormer'].keywords, type='mmfreq.DFFormer', img_size=img_size)
    head = dict(type='FCNHead', in_channels=32, in_index=3, channels=8, num_classes=3)
    model = dict(type='EncoderDecoder', backbone=backbone, decode_head=head)
    return Config(dict(model=model, default_scope='mmseg', test_pipeline=[]))


def test_mmseg_opens_such_a_checkpoint(tmp_path):
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(segmentor(64).model).eval()
    meta = dict(dataset_meta=dict(classes=('a', 'b', 'c'), palette=None))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'a.pth')
    opened = init_model(segmentor((64, 96)), str(tmp_path / 'a.pth'), device='cpu')
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(opened(images), model(images))
