"""What every backbone promises, on every architecture (at small sizes) and on tiny ones."""

import copy
from functools import partial

import pytest
import torch
from families import TINY
from torch import nn

import mmfreq.models
from mmfreq.models import GFNet
from mmfreq.models.backbones.resizable import ResizableBackbone

SIZES = [(64, 64), (48, 80), (61, 83), (5, 7), (1, 1)]


def all_networks():
    for name in mmfreq.models.__all__:
        network = getattr(mmfreq.models, name)
        for arch in getattr(network, 'arch_settings', ()):
            if arch not in ('34', '152'):
                yield pytest.param(partial(network, arch=arch), id=f'{name}-{arch}')


def seeded(network, **kwargs):
    torch.manual_seed(0)
    return network(**kwargs)


def loss_of(model, x):
    return sum((out**2).mean() for out in model(x))


@pytest.fixture(scope='module', params=all_networks())
def network(request):
    return request.param


@pytest.fixture(scope='module')
def model(network):
    return seeded(network)


@pytest.fixture(params=TINY.values(), ids=TINY)
def tiny(request):
    return request.param


@pytest.mark.thorough
def test_every_arch_takes_any_size(model):
    model.eval()
    for size in SIZES:
        with torch.no_grad():
            outs = model(torch.randn(1, 3, *size))
        assert [out.shape[1] for out in outs] == list(model.out_channels)
        isotropic = isinstance(model, GFNet) and len(model.depths) > 4
        strides = (16,) * 4 if isotropic else (4, 8, 16, 32)
        for out, stride in zip(outs, strides, strict=True):
            for side, cells in zip(size, out.shape[2:], strict=True):
                assert cells in (max(side // stride, 1), -(-side // stride)), (size, stride)
            assert out.isfinite().all() and out.is_contiguous()


@pytest.mark.thorough
def test_every_arch_has_finite_gradients(model):
    model.train()
    loss_of(model, torch.randn(2, 3, 64, 72)).backward()
    for name, param in model.named_parameters():
        assert param.grad is not None and param.grad.isfinite().all(), name
    model.zero_grad()


def test_every_arch_under_bf16_autocast(model):
    model.eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        exact = model(x)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            outs = model(x)
    for out, reference in zip(outs, exact, strict=True):
        assert (out.float() - reference).norm() < 0.05 * reference.norm()


@pytest.mark.thorough
def test_every_arch_is_deterministic_and_survives_a_round_trip(network, model):
    model.eval()
    x = torch.randn(1, 3, 40, 56)
    again, other = seeded(network).eval(), network().eval()
    other.load_state_dict(model.state_dict())
    again.load_state_dict({k: v for k, v in model.state_dict().items() if 'running' in k}, False)
    with torch.no_grad():
        expected = model(x)
        for copied in (again, other):
            for out, reference in zip(copied(x), expected, strict=True):
                torch.testing.assert_close(out, reference, rtol=0, atol=0)


@pytest.mark.thorough
def test_every_arch_freezes_and_checkpoints(network):
    x = torch.randn(2, 3, 32, 40, dtype=torch.float64)
    results = []
    for with_cp in (False, True):
        model = seeded(network, with_cp=with_cp, frozen_stages=1, drop_path_rate=0.3).double()
        assert model.train() is model
        torch.manual_seed(1)
        loss = loss_of(model, x)
        loss.backward()
        results.append((loss, {n: p.grad for n, p in model.named_parameters() if p.requires_grad}))
        assert any(not p.requires_grad for p in model.parameters())
    torch.testing.assert_close(results[0], results[1])


def test_training_under_bf16_autocast(tiny):
    model = tiny().train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = loss_of(model, torch.randn(2, 3, 70, 64))
    loss.backward()
    for name, param in model.named_parameters():
        assert param.grad.dtype == torch.float32 and param.grad.isfinite().all(), name


@pytest.mark.parametrize('out_indices', [0, -1, (1,), (0, 2), (1, 2, 3), (0, 1, 2, 3), (-2, -1)])
def test_every_parameter_has_a_gradient(tiny, out_indices):
    model = tiny(out_indices=out_indices)
    outs = model.train()(torch.randn(2, 3, 70, 64))
    assert len(outs) == len(model.out_indices) == len(model.out_channels)
    assert tuple(out.shape[1] for out in outs) == model.out_channels
    sum((out**2).mean() for out in outs).backward()
    for name, param in model.named_parameters():
        assert param.grad is not None and param.grad.isfinite().all(), name


@pytest.mark.parametrize('name', TINY)
def test_out_norm(name):
    x = torch.randn(2, 3, 64, 64)
    model = TINY[name](out_norm=dict(type='LN', eps=1e-6)).eval()
    raw = TINY[name](out_norm=None).eval()
    raw.load_state_dict(model.state_dict(), strict=False)
    for i, normed, plain in zip(model.out_indices, model(x), raw(x), strict=True):
        assert isinstance(getattr(model, f'norm{i}'), nn.LayerNorm)
        expected = nn.functional.layer_norm(plain.permute(0, 2, 3, 1), plain.shape[1:2], eps=1e-6)
        torch.testing.assert_close(normed, expected.permute(0, 3, 1, 2))
    assert not [name for name, _ in raw.named_parameters() if name.startswith('norm')]
    batch_normed = TINY[name](out_norm=dict(type='BN'), norm_eval=True).train()
    assert batch_normed.stages[0].training
    last = getattr(batch_normed, f'norm{batch_normed.out_indices[-1]}')
    assert isinstance(last, nn.BatchNorm2d) and not last.training


@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 2, 4])
def test_frozen_stages(tiny, frozen_stages):
    model = tiny(frozen_stages=frozen_stages)
    assert model.train() is model
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    expected = set()
    if frozen_stages >= 0:
        prefixes = ['patch_embed.']
        for i in range(frozen_stages):
            prefixes += [f'stages.{i}.', f'norm{i}.']
        expected = {n for n, _ in model.named_parameters() if n.startswith(tuple(prefixes))}
    assert frozen == expected
    for i, stage in enumerate(model.stages):
        assert all(module.training == (i >= frozen_stages) for module in stage.modules())


def test_checkpointing_gives_the_same_loss_and_gradients(tiny):
    x = torch.randn(2, 3, 64, 64)
    plain, lean = tiny(drop_path_rate=0.5), tiny(drop_path_rate=0.5, with_cp=True)
    lean.load_state_dict(plain.state_dict())
    results = []
    for model in (plain, lean):
        torch.manual_seed(1)
        loss = loss_of(model.train(), x)
        loss.backward()
        results.append((loss, [p.grad for p in model.parameters()]))
    torch.testing.assert_close(results[0], results[1])


def test_drop_path_grows_linearly(tiny):
    model = tiny(drop_path_rate=0.4)
    drops = [m.drop_prob for m in model.modules() if type(m).__name__ == 'DropPath']
    assert drops == sorted(drops) and drops[-1] == pytest.approx(0.4)
    assert drops[0] < 0.4


def test_layer_depths_follow_the_order_of_the_blocks(tiny):
    model = tiny()
    names = [name for name, _ in model.named_parameters()]
    depths = [model.get_layer_depth(f'backbone.{name}', 'backbone.') for name in names]
    numbers = [depth for depth, _ in depths]
    assert numbers == sorted(numbers) and numbers[0] == 0
    assert len({total for _, total in depths}) == 1
    head, total = model.get_layer_depth('decode_head.conv.weight', 'backbone.')
    assert head == total - 1 == max(max(numbers), head)


def test_init_weights_leaves_finite_numbers(tiny):
    model = tiny(init_cfg=dict(type='Constant', layer='Linear', val=0.25))
    model.init_weights()
    linear = [m for m in model.modules() if type(m) is nn.Linear]
    assert all((m.weight == 0.25).all() for m in linear)
    model = tiny()
    model.init_weights()
    assert all(param.isfinite().all() for param in model.parameters())


def test_deepcopy_and_training_mode(tiny):
    model = copy.deepcopy(tiny()).eval()
    x = torch.randn(1, 3, 50, 70)
    with torch.no_grad():
        first, second = model(x), model.train().eval()(x)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(out_indices=4), r'out_indices must be in \[-4, 3\], got 4'),
        (dict(out_indices=(2, 1)), 'ascending'),
        (dict(out_indices=(1, 1)), 'each once'),
        (dict(out_indices=()), 'at least one'),
        (dict(drop_path_rate=1.5), 'drop_path_rate'),
        (dict(frozen_stages=5), 'frozen_stages'),
        (dict(frozen_stages=3, out_indices=(0, 1)), r'\[-1, 2\]'),
    ],
)
def test_wrong_arguments_are_named(tiny, arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(arch='xl'), "arch must be one of .* got 'xl'"),
        (dict(arch=dict(depths=(1, 1, 1, 1))), r"missing \[.*'embed_dims'"),
    ],
)
def test_wrong_archs_are_named(tiny, arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(img_size=0), 'img_size'),
        (dict(img_size=(1, 2, 3)), 'img_size'),
        (dict(resize_mode='bicubic'), "resize mode must be one of .* got 'bicubic'"),
    ],
)
def test_wrong_sizes_are_named(tiny, arguments, message):
    resizable = issubclass(tiny.func, ResizableBackbone)
    expected = (ValueError, message) if resizable else (TypeError, 'takes any; leave it out')
    with pytest.raises(expected[0], match=expected[1]):
        tiny(**arguments)


def test_unknown_arguments_are_named(tiny):
    with pytest.raises(TypeError, match=r"'drop_path'; did you mean .*drop_path_rate"):
        tiny(drop_path=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'stem'"):
        tiny(stem=None)


@pytest.mark.parametrize('shape', [(1, 3, 0, 8), (0, 3, 8, 8), (3, 8, 8), (1, 1, 8, 8)])
def test_wrong_images_are_named(tiny, shape):
    with pytest.raises(ValueError, match=r'B, 3, H, W'):
        tiny()(torch.zeros(shape))
