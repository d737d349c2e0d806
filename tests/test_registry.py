"""One implementation of each network, built from the scope of every framework."""

import subprocess
import sys

import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope

import mmfreq.models
from mmfreq.registry import MODELS

BACKBONE = dict(
    type='mmfreq.GFNet',
    arch=dict(patch_size=4, embed_dims=(8, 16, 24, 32), depths=(1, 1, 1, 1)),
    img_size=64,
)
FPN_HEAD = dict(
    type='FPNHead',
    in_channels=[16] * 4,
    in_index=[0, 1, 2, 3],
    feature_strides=[4, 8, 16, 32],
    channels=16,
    num_classes=5,
)
MODELS_OF = {
    'mmseg': dict(
        type='EncoderDecoder',
        backbone=BACKBONE,
        neck=dict(type='FPN', in_channels=[8, 16, 24, 32], out_channels=16, num_outs=4),
        decode_head=FPN_HEAD,
        test_cfg=dict(mode='whole'),
    ),
    'mmdet': dict(
        type='RetinaNet',
        backbone=dict(BACKBONE, out_indices=(1, 2, 3)),
        neck=dict(type='FPN', in_channels=[16, 24, 32], out_channels=16, num_outs=5),
        bbox_head=dict(type='RetinaHead', num_classes=3, in_channels=16, feat_channels=16),
    ),
    'mmpretrain': dict(
        type='ImageClassifier',
        backbone=dict(BACKBONE, out_indices=-1),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=7, in_channels=32),
    ),
}


@pytest.fixture(params=MODELS_OF)
def scope(request):
    init_default_scope(request.param)
    yield request.param
    DefaultScope._instance_dict.clear()


def test_builds_in_every_framework(scope):
    model = MODELS.build(MODELS_OF[scope])
    from mmfreq.models import GFNet

    assert type(model.backbone) is GFNet
    feats = model.extract_feat(torch.randn(1, 3, 64, 64))
    assert len(feats) in (1, 4, 5)


@pytest.mark.parametrize('name', [name for name in mmfreq.models.__all__ if name[0].isupper()])
def test_every_network_is_registered(scope, name):
    assert MODELS.get(f'mmfreq.{name}') is getattr(mmfreq.models, name)


def test_a_host_with_fdconv_is_registered(scope):
    assert MODELS.get('mmfreq.FDConvBackbone') is mmfreq.models.fdconv_hosts.fdconv_backbone


SNIPPETS = {
    'without custom_imports': '',
    'with custom_imports': 'from mmengine.utils import import_modules_from_strings as load; '
    "load(['mmfreq.models'], allow_failed_imports=False); ",
}


@pytest.mark.parametrize('imports', SNIPPETS)
@pytest.mark.parametrize('scope', ['mmseg', 'mmdet', 'mmpretrain'])
@pytest.mark.thorough
def test_builds_in_a_fresh_process(scope, imports):
    """Nothing of mmfreq is imported before the config names it."""
    module = 'mmseg.registry' if scope == 'mmseg' else f'{scope}.registry'
    code = (
        f'{SNIPPETS[imports]}from {module} import MODELS; '
        f'from mmengine.registry import init_default_scope; init_default_scope({scope!r}); '
        f'model = MODELS.build({BACKBONE!r}); print(type(model).__module__, type(model).__name__)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == 'mmfreq.models.backbones.gfnet GFNet'


@pytest.mark.parametrize(
    ('statement', 'forbidden'),
    [
        ('import mmfreq', ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain')),
        ('import mmfreq.ops', ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain')),
        ('import mmfreq.models', ('mmcv.ops', 'mmcv._ext', 'mmdet', 'mmseg', 'mmpretrain')),
    ],
)
def test_imports_cost_only_what_is_needed(statement, forbidden):
    code = f'{statement}; import sys; print([m for m in {forbidden!r} if m in sys.modules])'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
