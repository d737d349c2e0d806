import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope, init_default_scope
from torch import nn

from mmfreq.engine.layer_decay import check_paramwise
from mmfreq.models import GFNet
from mmfreq.utils.errors import ConfigError


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


def test_learning_rates_by_stages(scope):
    arch = dict(patch_size=4, embed_dims=(4, 8), depths=(1, 2), layer_scale_init=0.1)
    model = Model(GFNet(arch=arch, img_size=32))
    found = groups(model, decay_type='stage_wise', num_layers=6)
    for name, exponent in {
        'head.weight': 0,
        'backbone.norm1.weight': 0,
        'backbone.stages.1.blocks.1.token_mixer.weight': 5,
        'backbone.stages.1.blocks.0.token_mixer.weight': 5,
        'backbone.stages.0.blocks.0.mlp.fc1.weight': 6,
        'backbone.stages.1.downsample.weight': 7,
        'backbone.patch_embed.proj.weight': 7,
    }.items():
        assert found[name]['lr'] == pytest.approx(0.5**exponent), name
    for message, options in {
        'at least the number of stages, got 1': dict(decay_type='stage_wise', num_layers=1),
        'which needs it': dict(decay_type='stage_wise'),
        "belongs to decay_type='stage_wise'": dict(num_layers=6),
        "got 'stagewise'": dict(decay_type='stagewise'),
    }.items():
        with pytest.raises(ConfigError, match=message):
            groups(model, **options)
    with pytest.raises(TypeError, match='needs a backbone of mmfreq, got Other'):
        groups(Model(Other()), decay_type='stage_wise', num_layers=6)


class Other(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

    def get_layer_depth(self, name, prefix):
        return 0, 2


def test_backbone_without_depths(scope):
    with pytest.raises(TypeError, match='Linear of Model has none'):
        groups(Model(nn.Linear(2, 2)))


def test_without_a_rate_any_network_is_trained(scope):
    """As our schedules have the constructor: ResNet-18 or PoolFormer in place of our backbone."""
    cfg = dict(
        optimizer=dict(type='AdamW', lr=0.25, weight_decay=0.1),
        constructor='mmfreq.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(bias_decay_mult=0.0),
    )
    found = build_optim_wrapper(Model(nn.Linear(2, 2)), cfg).optimizer.param_groups
    assert [group['lr'] for group in found] == [0.25] * 4
    assert [group['weight_decay'] for group in found] == [0.1, 0.0, 0.1, 0.0]


ARCH = dict(patch_size=4, embed_dims=(4, 8), depths=(1, 2), layer_scale_init=0.1)


def test_every_option_of_mmengine_multiplies_with_the_decay(scope):
    model = Model(GFNet(arch=ARCH, img_size=32))
    model.depthwise = nn.Conv2d(4, 4, 3, groups=4)
    found = groups(
        model,
        bias_lr_mult=3.0,
        norm_decay_mult=0.5,
        dwconv_decay_mult=0.25,
        custom_keys={
            'head': dict(lr_mult=10.0, decay_mult=0.0),
            'stages.0': dict(lr_mult=0.0),
            'stages.1.blocks.1.mlp': dict(lr_mult=2.0),
            'pos_embed': dict(decay_mult=0.0),
            'patch': dict(lr_mult=5.0, decay_mult=3.0),
        },
    )
    expected = {  # learning rate and weight decay
        'head.weight': (10.0, 0.0),
        'head.bias': (10.0, 0.0),
        'backbone.stages.0.blocks.0.mlp.fc1.weight': (0.0, 0.1),
        'backbone.stages.1.blocks.1.mlp.fc1.weight': (2 * 0.5, 0.1),
        'backbone.stages.1.blocks.0.mlp.fc1.weight': (0.25, 0.1),
        'backbone.stages.1.blocks.0.mlp.fc1.bias': (3 * 0.25, 0.1),
        'backbone.stages.1.blocks.0.norm1.weight': (0.25, 0.05),
        'depthwise.weight': (1.0, 0.025),
        'backbone.patch_embed.proj.bias': (5 * 0.5**4, 0.3),
        # The longest key, as in MMEngine; what it leaves out comes from the next one.
        'backbone.patch_embed.pos_embed': (5 * 0.5**4, 0.0),
    }
    for name, values in expected.items():
        group = found[name]
        assert (group['lr'], group['weight_decay']) == pytest.approx(values), name


def test_a_frozen_backbone_does_not_move(scope):
    model = Model(GFNet(arch=ARCH, img_size=32))
    cfg = dict(
        optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
        constructor='mmfreq.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(
            layer_decay_rate=0.5,
            custom_keys={'pos_embed': dict(decay_mult=0.0), 'backbone': dict(lr_mult=0.0)},
        ),
    )
    optimizer = build_optim_wrapper(model, cfg)
    before = {name: param.clone() for name, param in model.named_parameters()}
    optimizer.update_params(sum(param.square().sum() for param in model.parameters()))
    moved = {n.split('.')[0] for n, p in model.named_parameters() if not p.equal(before[n])}
    assert moved == {'head'}


def test_options_within_custom_keys(scope):
    model = Model(GFNet(arch=ARCH, img_size=32))
    cfg = dict(
        optimizer=dict(type='SGD', lr=1.0),
        paramwise_cfg=dict(custom_keys={'head': dict(lr_mul=2.0)}),
    )
    with pytest.raises(ValueError, match=r"\['head'\] has 'lr_mul'.*did you mean lr_mult"):
        check_paramwise(cfg, model)
    cfg['paramwise_cfg']['custom_keys'] = {'head': dict(momentum=0.5, lr_mult=2.0)}
    check_paramwise(cfg, model)


def test_shared_parameters_and_backbones_inside_of_wrappers(scope):
    inner = Model(GFNet(arch=ARCH, img_size=32))
    inner.tied = inner.head
    wrapper = nn.Module()
    wrapper.student = inner
    found = groups(wrapper, bypass_duplicate=True)
    assert found['student.backbone.patch_embed.proj.weight']['lr'] == 0.5**4
    assert found['student.head.weight']['lr'] == 1.0


@pytest.mark.parametrize(
    'constructor', ['mmfreq.LayerDecayOptimWrapperConstructor', 'DefaultOptimWrapperConstructor']
)
def test_unknown_options_are_refused_by_name(scope, constructor):
    model = Model(GFNet(arch=ARCH, img_size=32))
    cfg = dict(
        optimizer=dict(type='SGD', lr=1.0),
        constructor=constructor,
        paramwise_cfg=dict(bias_lr_mul=2.0),
    )
    with pytest.raises(ValueError, match=r'paramwise_cfg\.bias_lr_mul.*did you mean bias_lr_mult'):
        check_paramwise(cfg, model)
        build_optim_wrapper(model, cfg)
