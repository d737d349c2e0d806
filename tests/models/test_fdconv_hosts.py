"""FDConv in the networks of mmseg, mmdet and mmpretrain, by names of layers."""

import pickle
import re
from copy import deepcopy
from importlib import import_module

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmfreq.analysis.cost.flops import count_cost
from mmfreq.analysis.cost.operator_costs import CONVENTIONS
from mmfreq.models import FDConv, FDLinear, use_fdconv
from mmfreq.models.dynamic_kernel import DynamicKernel
from mmfreq.registry import MODELS

STAGES = dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1))
RESNET = dict(depth=18, stem_channels=20, base_channels=20, **STAGES)
STAGE = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
BOTTLENECKS = dict(depth=50, stem_channels=40, base_channels=40, **STAGE)
BRANCHES = {
    f'stage{branches}': dict(
        num_modules=1,
        num_branches=branches,
        block='BASIC' if branches > 1 else 'BOTTLENECK',
        num_blocks=(1,) * branches,
        num_channels=(18, 20, 22, 24)[:branches],
    )
    for branches in (1, 2, 3, 4)
}
SWIN = dict(depths=(1, 1), num_heads=(2, 2), out_indices=(0, 1), drop_path_rate=0.0)
SMALL = dict(
    embed_dims=20,
    num_stages=2,
    num_layers=(1, 1),
    num_heads=(1, 1),
    strides=(4, 2),
    sr_ratios=(8, 4),
    out_indices=(0, 1),
    drop_path_rate=0.0,
)
REGNET = dict(w0=24, wa=30, wm=1.8, group_w=8, depth=5, bot_mul=1.0)
NEXT = dict(
    arch=dict(depths=(1, 2), channels=(20, 30)), out_indices=(0, 1), gap_before_final_norm=False
)
VIT = dict(img_size=64, patch_size=16)

# Layers by default, or by name where none are targets by default; how many are replaced.
HOSTS = {
    'mmpretrain.ResNet': (RESNET, None, 8),
    'mmdet.ResNeXt': (BOTTLENECKS | dict(groups=2, base_width=32), None, 6),
    'mmdet.Res2Net': (BOTTLENECKS | dict(scales=2, base_width=32), None, 9),
    'mmpretrain.RegNet': (dict(arch=REGNET), None, 10),
    'mmseg.ResNetV1c': (RESNET, None, 8),
    'mmseg.HRNet': (dict(extra=BRANCHES), None, 21),
    'mmseg.MobileNetV2': (dict(widen_factor=0.5), r'layer\d\.\d\.conv\.\d\.conv$', 21),
    'mmpretrain.MobileNetV3': (dict(arch='small_050'), r'_conv\.conv$', 15),
    'mmdet.CSPNeXt': (dict(deepen_factor=0.1, widen_factor=0.25), r'blocks|main_conv', 9),
    'mmpretrain.ConvNeXt': (NEXT, None, 6),
    'mmdet.SwinTransformer': (dict(embed_dims=30, **SWIN), None, 4),
    'mmpretrain.SwinTransformer': (
        dict(
            arch=dict(embed_dims=30, depths=(1, 1), num_heads=(2, 2)),
            img_size=64,
            out_indices=(0, 1),
            drop_path_rate=0.0,
        ),
        None,
        4,
    ),
    'mmseg.MixVisionTransformer': (SMALL | dict(patch_sizes=(7, 3)), None, 4),
    'mmdet.PyramidVisionTransformer': (
        SMALL | dict(patch_sizes=(4, 2), paddings=(0, 0), mlp_ratios=(8, 8), pretrain_img_size=64),
        None,
        4,
    ),
    'mmseg.VisionTransformer': (VIT | dict(embed_dims=30, num_layers=2, num_heads=2), None, 4),
    'mmpretrain.VisionTransformer': (
        VIT
        | dict(
            arch=dict(embed_dims=30, num_layers=2, num_heads=2, feedforward_channels=50),
            out_type='featmap',
        ),
        None,
        4,
    ),
    'mmfreq.GFNet': (
        dict(arch=dict(patch_size=4, embed_dims=(20, 24), depths=(1, 1)), img_size=64),
        None,
        4,
    ),
}
EXACTLY = ('mmpretrain.ResNet', 'mmpretrain.ConvNeXt', 'mmpretrain.SwinTransformer')
EXACTLY += ('mmseg.MixVisionTransformer', 'mmdet.SwinTransformer')


QUICK = ('mmpretrain.ConvNeXt', 'mmdet.SwinTransformer', 'mmpretrain.MobileNetV3')


def by_speed(names):
    marks = {name: [] if name in QUICK else pytest.mark.thorough for name in names}
    return [pytest.param(name, marks=mark) for name, mark in marks.items()]


@pytest.fixture(params=HOSTS)
def name(request):
    return request.param


def host_of(name, **more):
    """A host as its library makes it, with statistics of norms and biases as of a trained one."""
    import_module(f'{name.split(".")[0]}.models')
    host = MODELS.build(ConfigDict(type=name, **HOSTS[name][0] | more))
    host.init_weights()
    for key, tensor in host.state_dict().items():
        if key.endswith(('running_mean', 'bias')):
            tensor.normal_(std=0.1)
        elif key.endswith('running_var') or (key.endswith('weight') and tensor.ndim == 1):
            tensor.uniform_(0.5, 2)
    return host


def agree(outputs, expected, tolerance=1e-5):
    for output, reference in zip(outputs, expected, strict=True):
        assert (output - reference).norm() <= tolerance * reference.norm()


def dynamic_layers(model):
    return {n: m for n, m in model.named_modules() if isinstance(m, DynamicKernel)}


def train_modulations(model, std=0.05):
    for layer in dynamic_layers(model).values():
        for param in layer.modulation_parameters():
            nn.init.normal_(param, std=std)


IMAGES = torch.linspace(-2, 2, 2 * 3 * 64 * 64).sin().reshape(2, 3, 64, 64)


@torch.no_grad()
def test_outputs_are_those_of_the_host(name):
    """Evaluating and training; then its tensors still load, strictly, and so do its own."""
    plain, (_, layers, count) = host_of(name), HOSTS[name]
    model = deepcopy(plain)
    assert use_fdconv(model, layers, kernel_num=8) is model
    assert len(dynamic_layers(model)) == count
    # Batch norms of eight values, as training has them here, make much of any rounding.
    exact = [deepcopy(plain).double(), use_fdconv(deepcopy(plain).double(), layers, kernel_num=8)]
    for network in exact:
        network.train()
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.eval()  # mmcv's default is 0 until some network was built with another
    agree(exact[1](IMAGES.double()), exact[0](IMAGES.double()), 1e-9)
    plain.eval(), model.eval()
    agree(model(IMAGES), plain(IMAGES))
    weights = plain.state_dict()
    expected = plain(IMAGES)

    other = use_fdconv(host_of(name), layers, kernel_num=8)
    other.load_state_dict(weights)
    other.eval()
    agree(other(IMAGES), expected)

    train_modulations(model)
    model.eval()
    changed = model(IMAGES)
    assert not torch.allclose(changed[-1], expected[-1])
    other.load_state_dict(model.state_dict())
    agree(other(IMAGES), changed)
    agree(deepcopy(model)(IMAGES), changed)


@pytest.mark.parametrize('name', by_speed(HOSTS), indirect=True)
def test_every_parameter_learns(name):
    plain, (_, layers, _) = host_of(name), HOSTS[name]
    model = use_fdconv(deepcopy(plain), layers, kernel_num=8)
    train_modulations(model)
    for network in (plain, model):
        network.train()
        sum(output.square().sum() for output in network(IMAGES)).backward()
    idle = {n for n, param in plain.named_parameters() if param.grad is None}
    for key, param in model.named_parameters():
        assert key in idle or param.grad.isfinite().all(), key
        parts = ('.attention.bn.', '.norm.', 'bias')  # a norm behind may take these away
        assert key in idle or param.grad.any() or any(part in key for part in parts), key


@pytest.mark.parametrize('kind', EXACTLY)
def test_gradients_are_those_of_the_host(kind):
    plain = host_of(kind).double()
    model = use_fdconv(deepcopy(plain), kernel_num=8)
    gradients = []
    for network in (plain, model):
        network.eval()
        images = IMAGES.double().requires_grad_()
        sum(output.square().sum() for output in network(images)).backward()
        gradients.append({n: p.grad for n, p in network.named_parameters()} | {'': images.grad})
    for key, grad in gradients[0].items():
        ours = gradients[1].get(key)
        if ours is not None:
            torch.testing.assert_close(ours, grad, rtol=1e-8, atol=1e-10 * grad.abs().max().item())
        else:  # the spectrum has it: as far from the host's as its layout says
            assert key.removesuffix('.weight') in dynamic_layers(model), key


@pytest.mark.parametrize('kind', EXACTLY)
def test_frozen_stages_stay_frozen(kind):
    if kind == 'mmseg.MixVisionTransformer':
        pytest.skip('has no frozen_stages')
    plain = host_of(kind, frozen_stages=1)
    model = use_fdconv(deepcopy(plain), kernel_num=8)
    for _ in range(2):  # as built, and as training begins
        modules = dict(model.named_modules())
        for name, param in plain.named_parameters():
            layer, _, part = name.rpartition('.')
            if isinstance(modules[layer], DynamicKernel):
                part = 'spectrum' if part == 'weight' else part
                states = {p.requires_grad for p in modules[layer].parameters()}
                assert states == {param.requires_grad}, name
            assert modules[layer].get_parameter(part).requires_grad == param.requires_grad
        assert {m.training for m in model.modules()} == {m.training for m in plain.modules()}
        plain.train(), model.train()
    assert any(not p.requires_grad for p in plain.parameters())


@torch.no_grad()
@pytest.mark.parametrize('kind', by_speed(EXACTLY))
def test_half_precision_and_costs(kind):
    model = use_fdconv(host_of(kind), kernel_num=8)
    model.eval()
    train_modulations(model)
    expected = model(IMAGES)
    with torch.autocast('cpu', torch.bfloat16):
        agree([y.float() for y in model(IMAGES)], expected, 0.06)
    cost = count_cost(model, IMAGES[:1], CONVENTIONS['paper'])
    plain = count_cost(host_of(kind), IMAGES[:1], CONVENTIONS['paper'])
    assert not cost.uncounted and cost.flops > plain.flops and cost.params > plain.params
    assert any('fft' in operator for operator in cost.operators)


class Model(nn.Module):
    """What has a backbone, as a segmentor does."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


CONFIG = dict(
    type='mmfreq.FDConvBackbone',
    kernel_num=8,
    backbone=dict(type='mmpretrain.SwinTransformer', **HOSTS['mmpretrain.SwinTransformer'][0]),
)


def test_a_config_loads_weights_of_the_host(tmp_path):
    """The optimiser is made before, as in a run: its parameters stay those of the network."""
    plain = host_of('mmpretrain.SwinTransformer')
    torch.save(plain.state_dict(), tmp_path / 'swin.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'swin.pth'))
    within = dict(CONFIG, backbone=dict(CONFIG['backbone'], init_cfg=init_cfg))
    for config in (dict(CONFIG, init_cfg=init_cfg), within):
        model = MODELS.build(ConfigDict(config))
        assert type(model) is type(plain)
        plain.eval()
        for network in (model, pickle.loads(pickle.dumps(deepcopy(model)))):
            parameters = [id(param) for param in network.parameters()]
            network.init_weights()
            assert [id(param) for param in network.parameters()] == parameters
            network.eval()
            agree(network(IMAGES), plain(IMAGES))


def test_a_config_loads_a_released_file_into_a_host_of_ours(tmp_path):
    """Which checks the whole file, by names of plain layers."""
    plain = host_of('mmfreq.GFNet')
    torch.save({'model': plain.state_dict()}, tmp_path / 'gfnet.pth')
    config = dict(
        type='mmfreq.FDConvBackbone',
        kernel_num=8,
        backbone=dict(type='mmfreq.GFNet', **HOSTS['mmfreq.GFNet'][0]),
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'gfnet.pth')),
    )
    model = MODELS.build(ConfigDict(config))
    model.init_weights()
    model.eval(), plain.eval()
    agree(model(IMAGES), plain(IMAGES))
    assert len(dynamic_layers(model)) == 4


def test_a_model_around_initialises_as_the_host_does():
    """With MMEngine's book of who initialised what; the distribution is that of the library."""
    from mmseg.models import EncoderDecoder

    head = dict(type='FCNHead', in_channels=60, channels=8, num_classes=3, num_convs=1)
    swin = dict(type='mmdet.SwinTransformer', **HOSTS['mmdet.SwinTransformer'][0])
    backbone = ConfigDict(CONFIG, backbone=swin)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = EncoderDecoder(backbone=backbone, decode_head=ConfigDict(head))
        model.init_weights()
    layers = dynamic_layers(model)
    assert len(layers) == 4 and all(isinstance(layer, FDLinear) for layer in layers.values())
    for layer in layers.values():  # truncated normal, 0.02; nn.Linear's own would be 0.1
        assert 0.017 < layer.to_weight().std() < 0.023
        assert not layer.bias.any()
        assert not hasattr(layer, '_params_init_info')


def test_layer_decay_follows_the_host():
    plain = host_of('mmpretrain.SwinTransformer')
    model = Model(MODELS.build(ConfigDict(CONFIG)))
    wrapper = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=1.0),
        constructor='mmfreq.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(layer_decay_rate=0.5),
    )
    rates = [
        {
            group['param_name']: group['lr']
            for group in build_optim_wrapper(m, deepcopy(wrapper)).optimizer.param_groups
        }
        for m in (Model(plain), model)
    ]
    for name, rate in rates[1].items():
        layer = re.sub(r'\.(spectrum|attention|local_attention)(\..*)?$', '.weight', name)
        assert rate == rates[0][layer], name
    assert len(set(rates[1].values())) > 2


def test_checkpointing_of_the_host_has_the_same_gradients():
    """A layer in a recomputed block."""
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        backbone = dict(CONFIG['backbone'], with_cp=with_cp)
        model = MODELS.build(ConfigDict(dict(CONFIG, backbone=backbone)))
        train_modulations(model)
        model.eval()
        sum(y.square().sum() for y in model(IMAGES)).backward()
        gradients.append([p.grad for p in model.parameters()])
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize('kind', ['mmpretrain.ResNet', 'mmpretrain.SwinTransformer'])
def test_initialisation_leaves_frozen_what_the_host_freezes(kind):
    config = dict(type='mmfreq.FDConvBackbone', kernel_num=8)
    settings = dict(type=kind, frozen_stages=1, **HOSTS[kind][0])
    model = MODELS.build(ConfigDict(config, backbone=settings))
    model.init_weights()
    model.train()
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    plain = host_of(kind, frozen_stages=1)
    plain.train()
    expected = {n for n, p in plain.named_parameters() if not p.requires_grad}
    assert expected == {n for n in frozen if n in expected} | {
        f'{n.rpartition(".")[0]}.weight' for n in frozen if n.endswith('.spectrum')
    }


def test_the_log_says_which_layers_and_how_many_parameters(log):
    model = host_of('mmseg.MixVisionTransformer')
    before = sum(param.numel() for param in model.parameters())
    use_fdconv(model, r'ffn', kernel_num=8)
    added = sum(param.numel() for param in model.parameters()) - before
    assert f'4 layers of MixVisionTransformer are dynamic, which adds {added:,} parameters' in (
        log.text
    )
    assert '2 named by layers stay plain: grouped' in log.text


@pytest.mark.thorough
@pytest.mark.parametrize(
    ('name', 'layers', 'added'),
    [
        ('mmpretrain.SwinTransformer', None, 6_026_736),
        ('mmpretrain.SwinTransformer', r'stages\.[012]\..*ffn', 2_810_664),
        ('mmpretrain.ConvNeXt', None, 9_040_104),
        ('mmpretrain.ConvNeXt', r'stages\.[012]\..*pointwise', 4_215_996),
    ],
)
def test_parameters_that_are_added(name, layers, added):
    import_module('mmpretrain.models')
    host = MODELS.build(dict(type=name, arch='tiny'))
    before = sum(param.numel() for param in host.parameters())
    use_fdconv(host, layers)
    assert sum(param.numel() for param in host.parameters()) - before == added


@pytest.mark.thorough
def test_parameters_of_resnet_50_are_those_of_the_released_models():
    host = MODELS.build(dict(type='mmpretrain.ResNet', depth=50))
    before = sum(param.numel() for param in host.parameters())
    use_fdconv(host)
    assert sum(param.numel() for param in host.parameters()) - before == 3_647_120


def test_layers_by_a_list_and_by_a_function():
    model = host_of('mmpretrain.ConvNeXt')
    use_fdconv(model, [r'stages\.0\..*conv1', r'stages\.1\.0.*conv2'], kernel_num=4)
    assert list(dynamic_layers(model)) == [
        'stages.0.0.pointwise_conv1',
        'stages.1.0.pointwise_conv2',
    ]
    use_fdconv(model, lambda name, layer: isinstance(layer, nn.Linear), kernel_num=4)
    assert len(dynamic_layers(model)) == 6  # those within layers of FDConv are not asked for


def test_a_layer_that_two_modules_share_stays_one():
    layer = nn.Linear(20, 20)
    model = nn.ModuleDict(dict(a=layer, b=nn.Sequential(layer)))
    use_fdconv(model, 'a', kernel_num=4)
    assert isinstance(model['a'], FDLinear) and model['a'] is model['b'][0]


def test_layers_that_are_more_than_their_kind_stay_plain():
    """The attention's output is an nn.Linear whose weight nn.MultiheadAttention reads itself."""
    model = nn.TransformerEncoderLayer(32, 2, 64, dropout=0, batch_first=True)
    x = torch.randn(2, 5, 32)
    expected = model(x)
    use_fdconv(model, '.', kernel_num=4)
    assert list(dynamic_layers(model)) == ['linear1', 'linear2']
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('host', 'layers', 'message'),
    [
        ('mmpretrain.ConvNeXt', 'ffn', r"'ffn' finds no convolution .* some of .*pointwise_conv1"),
        ('mmpretrain.ConvNeXt', ['pointwise', 'ffn'], "layers='ffn' finds no convolution"),
        (
            'mmpretrain.ConvNeXt',
            'depthwise',
            r"'depthwise' finds .*depthwise_conv.* only \(3 x grouped, and .* set layers to an",
        ),
        ('mmpretrain.ResNet', r'^conv1$', r'1 x a 7x7 kernel, not 1x1 and 3x3'),
        ('mmseg.MobileNetV2', None, 'MobileNetV2 has no layers that are replaced by default; set'),
    ],
)
def test_bad_layers_are_named_with_the_fix(host, layers, message):
    with pytest.raises(ValueError, match=message):
        use_fdconv(host_of(host), layers)


def test_a_host_without_such_layers_is_named():
    host = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(8, 4), nn.Conv2d(32, 32, 3, groups=4))
    with pytest.raises(ValueError, match='Sequential has none that FDConv can replace; leave'):
        use_fdconv(host)
    with pytest.raises(ValueError, match=r'finds 2 of .*1 x grouped.*, and Sequential has none'):
        use_fdconv(host, r'^2$')


def test_options_reach_the_layers():
    model = host_of('mmpretrain.ResNet')
    use_fdconv(model, kernel_num=4, band_masks='nearest', use_fdconv_if_c_gt=30)
    layers = dynamic_layers(model).values()
    assert all(isinstance(layer, FDConv) and layer.kernel_num == 4 for layer in layers)
    assert all(min(layer.kernel_shape[:2]) > 30 for layer in layers)
    assert all(layer.bands.masks == 'nearest' for layer in layers if layer.bands)


@pytest.mark.thorough
@pytest.mark.parametrize('kind', EXACTLY)
def test_compiled_and_exported(kind, tmp_path):
    from mmfreq.export import BackboneOnly, compare, export_onnx

    pytest.importorskip('onnxruntime')
    model = use_fdconv(host_of(kind), kernel_num=8)
    model.eval()
    train_modulations(model)
    torch._dynamo.reset()
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, backend='aot_eager')
        agree(compiled(IMAGES), model(IMAGES))
        expected = model(IMAGES[:1])
    path = tmp_path / 'model.onnx'
    network = BackboneOnly(model, len(expected))
    export_onnx(network, IMAGES[:1], path)
    assert max(compare(network, path, [IMAGES[:1]]).values()) < 1e-4


def test_batch_norms_of_attentions_follow_the_host():
    """A host with norm_eval holds all statistics, those of the attentions too."""
    model = use_fdconv(host_of('mmpretrain.ResNet', norm_eval=True), kernel_num=8)
    model.train()
    assert not any(m.training for m in model.modules() if isinstance(m, _BatchNorm))
