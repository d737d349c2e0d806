import argparse
import copy

import pytest
import torch
from families import TINY as TINY_FAMILIES
from mmengine.config import ConfigDict
from mmengine.model import PretrainedInit

from mmfreq.models import GFNet
from mmfreq.ops import resize_filter

TINY = dict(patch_size=4, embed_dims=(8, 16), depths=(1, 2), layer_scale_init=0.1)


def build(checkpoint=None, **kwargs):
    init_cfg = dict(type='Pretrained', checkpoint=str(checkpoint)) if checkpoint else None
    return GFNet(**{'arch': dict(TINY), 'img_size': 32, 'init_cfg': init_cfg, **kwargs})


def released(model):
    """The model's weights under the names and layouts of the original code."""
    renamed = {}
    for name, tensor in model.state_dict().items():
        name = name.replace('stages.1.downsample.', 'patch_embed.1.proj.')
        name = name.replace('patch_embed.proj.', 'patch_embed.0.proj.')
        name = name.replace('token_mixer.weight', 'filter.complex_weight')
        name = name.replace('layer_scale.weight', 'gamma')
        for i in range(2):
            name = name.replace(f'stages.{i}.blocks.', f'blocks.{i}.')
        if name == 'patch_embed.pos_embed':
            name, tensor = 'pos_embed', tensor.flatten(1, 2)
        if name.endswith('complex_weight'):
            tensor = tensor.permute(1, 2, 0, 3)
        renamed[name] = tensor
    del renamed['resize_mode_id'], renamed['filter_sizes']
    return renamed


@pytest.fixture
def source():
    model = build(out_norm=None)
    for param in model.parameters():
        torch.nn.init.normal_(param)
    return model


@pytest.mark.parametrize('nest', [lambda s: s, lambda s: {'model': s}, lambda s: {'state_dict': s}])
@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.', 'module.backbone.'])
def test_released_checkpoint_loads_as_it_is(source, tmp_path, nest, prefix):
    state = {f'{prefix}{name}': tensor for name, tensor in released(source).items()}
    args = argparse.Namespace(lr=0.1)
    torch.save(
        {**nest(state), 'args': args} if 'model' in nest({}) else nest(state), tmp_path / 'a'
    )
    model = build(tmp_path / 'a', out_norm=None)
    model.init_weights()
    expected = source.state_dict()
    for name, tensor in model.state_dict().items():
        if name not in ('resize_mode_id', 'filter_sizes'):
            torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)
    assert model.resize_mode == 'interpolate'


def test_report(source, tmp_path, log):
    state = released(source) | {'head.weight': torch.zeros(10, 16), 'norm.weight': torch.ones(16)}
    torch.save(state, tmp_path / 'a.pth')
    build(tmp_path / 'a.pth', img_size=48).init_weights()
    report = log.records[-1].getMessage()
    assert 'GFNet: loaded 38 of 41 tensors' in report
    assert 'resized 4: ' in report and 'stages.0.blocks.0.token_mixer.weight' in report
    assert 'dropped 1: head.weight' in report
    assert 'missing 3: norm0.weight, norm0.bias, norm1.bias' in report


def test_released_weights_for_grey_images(source, tmp_path):
    torch.save(released(source), tmp_path / 'a.pth')
    model = build(tmp_path / 'a.pth', in_channels=1)
    model.init_weights()
    expected = source.patch_embed.proj.weight.detach().sum(1, keepdim=True)
    torch.testing.assert_close(model.patch_embed.proj.weight.detach(), expected)


@pytest.mark.parametrize('mode', ['interpolate', 'kernel', 'spectrum'])
def test_filters_are_resized_to_the_model(source, tmp_path, mode):
    torch.save(released(source), tmp_path / 'a.pth')
    model = build(tmp_path / 'a.pth', img_size=(48, 40), resize_mode=mode)
    model.init_weights()
    assert model.resize_mode == mode
    for stage, old, new in ((0, (8, 8), (12, 10)), (1, (4, 4), (6, 5))):
        weight = source.stages[stage].blocks[0].token_mixer.weight.detach()
        resized = model.stages[stage].blocks[0].token_mixer.weight.detach()
        torch.testing.assert_close(resized, resize_filter(weight, old, new, mode))


@pytest.mark.parametrize('mode', ['interpolate', 'kernel'])
def test_own_checkpoint_keeps_its_way_of_resizing(source, tmp_path, mode):
    source.set_resize_mode(mode)
    torch.save(dict(state_dict=source.state_dict(), meta={}), tmp_path / 'a.pth')
    model = build(tmp_path / 'a.pth', img_size=48)
    model.init_weights()
    assert model.resize_mode == mode
    old, new = source.stages[1].blocks[1].token_mixer, model.stages[1].blocks[1].token_mixer
    expected = resize_filter(old.weight.detach(), (4, 4), (6, 6), mode)
    torch.testing.assert_close(new.weight.detach(), expected)


def test_last_norm_takes_the_norm_of_the_release(source, tmp_path):
    state = released(source) | {'norm.weight': torch.full((16,), 3.0), 'norm.bias': torch.ones(16)}
    torch.save(state, tmp_path / 'a.pth')
    model = build(tmp_path / 'a.pth')
    model.init_weights()
    assert (model.norm1.weight == 3).all() and (model.norm0.weight == 1).all()


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda s: s.pop('blocks.1.0.mlp.fc1.weight'), r'36 of 37 tensors.*fc1.weight; check'),
        (lambda s: [s.pop(n) for n in list(s) if 'filter' in n], 'does not hold the whole GFNet'),
        (lambda s: s.update({'blocks.0.0.gamma': torch.ones(9)}), r'another arch.*\(9,\)'),
        (
            lambda s: s.update({'blocks.0.0.filter.complex_weight': torch.ones(8, 4, 8, 2)}),
            r'stages.0.blocks.0.token_mixer.weight: a filter for maps of size \(8, 8\)',
        ),
        (lambda s: s.update({'pos_embed': torch.ones(1, 65, 8)}), '65 positions'),
        (
            lambda s: s.update({'blocks.0.0.gamma': torch.full((8,), torch.nan)}),
            'NaN or infinite values in blocks.0.0.gamma',
        ),
        (lambda s: s.clear(), 'holds no weights'),
        (
            lambda s: (s.clear(), s.update(build().state_dict(), resize_mode_id=torch.tensor(9))),
            'resize_mode_id must be one number below 3',
        ),
    ],
)
def test_incomplete_checkpoints_are_refused(source, tmp_path, damage, message):
    state = released(source)
    damage(state)
    torch.save({'model': state}, tmp_path / 'a.pth')
    model = build(tmp_path / 'a.pth', out_norm=None)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=message) as error:
        model.init_weights()
    assert 'a.pth' in str(error.value)
    assert torch.equal(model.patch_embed.pos_embed, before['patch_embed.pos_embed'])


TWO = ('student.backbone.', 'teacher.backbone.')


@pytest.fixture
def two(tmp_path):
    """A file of two networks and their heads, and the two."""
    networks = {prefix: build(out_norm=None) for prefix in TWO}
    tensors = {'student.head.weight': torch.ones(2), 'number': torch.ones(1)}
    for prefix, network in networks.items():
        tensors |= {f'{prefix}{name}': tensor for name, tensor in network.state_dict().items()}
    torch.save({'state_dict': tensors}, tmp_path / 'two.pth')
    return str(tmp_path / 'two.pth'), networks


@pytest.mark.parametrize('prefix', [*TWO, 'teacher.backbone'])
@pytest.mark.parametrize(
    'kind', ['Pretrained', 'PretrainedInit', 'mmengine.Pretrained', PretrainedInit]
)
def test_prefix(two, prefix, kind):
    path, networks = two
    init_cfg = ConfigDict(type=kind, checkpoint=path, prefix=prefix, map_location='cpu')
    model = build(init_cfg=init_cfg, out_norm=None)
    model.init_weights()
    expected = networks[prefix.removesuffix('.') + '.'].state_dict()
    torch.testing.assert_close(dict(model.state_dict()), dict(expected))
    assert init_cfg == dict(type=kind, checkpoint=path, prefix=prefix, map_location='cpu')


def test_other_initialisations_come_first(two):
    init_cfg = [
        dict(type='Pretrained', checkpoint=two[0], prefix=TWO[0]),
        dict(type='Constant', layer='LayerNorm', val=0.5),
    ]
    given = copy.deepcopy(init_cfg)
    model = build(init_cfg=init_cfg)
    model.init_weights()
    assert (model.norm0.weight == 0.5).all()  # not in the file
    assert (model.stages[0].blocks[0].norm1.weight == 1).all()
    assert init_cfg == given == model.init_cfg


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            dict(prefix='encoder'),
            r'two.pth has no names with the prefix encoder; it has student., ',
        ),
        (dict(prefix='student.head'), 'not hold the whole GFNet: .*set prefix in init_cfg'),
        (dict(), 'not hold the whole GFNet: .*set prefix in init_cfg'),
        (
            dict(prefx='a', key=1),
            'takes checkpoint, prefix and map_location; key, prefx is unknown',
        ),
        (dict(checkpoint=None), 'checkpoint is missing'),
    ],
)
def test_wrong_init_cfgs_are_named(two, options, message):
    init_cfg = {'type': 'Pretrained', 'checkpoint': two[0], **options}
    with pytest.raises(ValueError, match=message):
        build(init_cfg=init_cfg).init_weights()


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth does not exist'):
        build(tmp_path / 'nowhere.pth').init_weights()


FAMILIES = {name: network for name, network in TINY_FAMILIES.items() if name != 'GFNet-flat'}


def pretrained(network, tensors, folder):
    torch.save(tensors, folder / 'a.pth')
    model = network(init_cfg=dict(type='Pretrained', checkpoint=str(folder / 'a.pth')))
    model.init_weights()
    return model


@pytest.mark.parametrize('theirs', FAMILIES)
@pytest.mark.parametrize('ours', FAMILIES)
def test_checkpoints_of_other_families_are_refused(ours, theirs, tmp_path):
    tensors = FAMILIES[theirs]().state_dict()
    if ours == theirs:
        model = pretrained(FAMILIES[ours], tensors, tmp_path)
        torch.testing.assert_close(dict(model.state_dict()), dict(tensors))
        return
    message = rf'a\.pth (does not hold the whole|belongs to another arch than this) {ours}'
    with pytest.raises(ValueError, match=message):
        pretrained(FAMILIES[ours], tensors, tmp_path)


@pytest.mark.parametrize('name', FAMILIES)
def test_other_archs_and_wrong_shapes_are_refused(name, tmp_path):
    tensors = FAMILIES[name]().state_dict()
    key = next(k for k in tensors if 'stages' in k)
    tensors[key] = torch.ones(7)
    with pytest.raises(
        ValueError, match=rf'a\.pth belongs to another arch than this {name}: {key}'
    ):
        pretrained(FAMILIES[name], tensors, tmp_path)


def test_filters_of_another_count_are_refused(tmp_path):
    tensors = FAMILIES['DFFormer'](num_filters=2).state_dict()
    with pytest.raises(ValueError, match=r'another arch.*filters.weight \(2, .*instead of \(4, '):
        pretrained(FAMILIES['DFFormer'], tensors, tmp_path)


def test_part_of_the_modulation_is_not_enough(tmp_path):
    tensors = FAMILIES['FDResNet']().state_dict()
    del tensors['stages.1.blocks.0.conv1.attention.channel.weight']
    with pytest.raises(ValueError, match=r'not hold the whole FDResNet.*conv1.attention.channel'):
        pretrained(FAMILIES['FDResNet'], tensors, tmp_path)
