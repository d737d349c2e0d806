import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope, init_default_scope
from torch import nn

from mmfreq.models import GFNet


@pytest.fixture
def scope():
    init_default_scope('mmengine')
    yield
    DefaultScope._instance_dict.clear()


class Model(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(4, 4)


def groups(model, **paramwise):
    cfg = dict(
        optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
        constructor='mmfreq.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(layer_decay_rate=0.5, **paramwise),
    )
    found = build_optim_wrapper(model, cfg).optimizer.param_groups
    return {group['param_name']: group for group in found}


def test_learning_rates(scope):
    arch = dict(patch_size=4, embed_dims=(4, 8), depths=(1, 2), layer_scale_init=0.1)
    model = Model(GFNet(arch=arch, img_size=32))
    found = groups(model, norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0)
    assert len(found) == len(list(model.parameters()))
    for name, exponent in {
        'head.weight': 0,
        'backbone.norm1.weight': 0,
        'backbone.stages.1.blocks.1.token_mixer.weight': 1,
        'backbone.stages.1.downsample.weight': 2,
        'backbone.stages.0.blocks.0.mlp.fc1.weight': 3,
        'backbone.patch_embed.proj.weight': 4,
        'backbone.patch_embed.pos_embed': 4,
    }.items():
        assert found[name]['lr'] == pytest.approx(0.5**exponent), name
    assert found['head.weight']['weight_decay'] == 0.1
    for name in (
        'head.bias',
        'backbone.norm0.weight',
        'backbone.stages.0.blocks.0.layer_scale.weight',
    ):
        assert found[name]['weight_decay'] == 0.0


def test_backbone_without_depths(scope):
    with pytest.raises(TypeError, match='Linear of Model has none'):
        groups(Model(nn.Linear(2, 2)))
