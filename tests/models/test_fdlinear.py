"""FDLinear against the original's 1x1 convolution, our own, and the linear layer it takes over."""

import json
import os
import pickle
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmfreq.models import FDConv, FDLinear
from mmfreq.registry import MODELS

FOLDER = Path(os.environ.get('MMFREQ_SHARED', '.')) / 'fixtures'
FIXTURES = sorted(path.stem for path in FOLDER.glob('fdconv-k1s1*.npz'))


@pytest.mark.parametrize('name', FIXTURES)
def test_outputs_are_those_of_the_original(name, reference):
    """A 1x1 convolution is a linear layer on pixels; its tensors load as they are."""
    data = np.load(FOLDER / f'{name}.npz')
    meta = json.loads(str(data['meta']))
    options = dict(meta['ctor'])
    in_channels, out_channels, _ = options.pop('a')
    layer = FDLinear(in_channels, out_channels, **options)
    weights = {k: torch.from_numpy(v) for k, v in reference.state_dict(data).items()}
    layer.load_state_dict(weights)
    layer.double().eval()
    x = torch.from_numpy(reference.make_input(meta)).double()
    with torch.no_grad():
        y = layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert reference.compare(data, {'out': y.numpy()}, f64=True)


def trained(layer):
    """The layer with modulations that are not one."""
    for param in layer.modulation_parameters():
        nn.init.normal_(param, std=0.3)
    return layer


@pytest.mark.parametrize('widths', [(17, 17), (96, 384), (33, 35), (384, 96)])
@pytest.mark.parametrize('mode', [True, False], ids=['train', 'eval'])
def test_outputs_and_gradients_are_those_of_a_1x1_convolution(widths, mode):
    linear = trained(FDLinear(*widths, kernel_num=8)).double().train(mode)
    conv = FDConv(*widths, 1, kernel_num=8).double().train(mode)
    conv.load_state_dict(linear.state_dict())
    tokens = torch.randn(3, 4, 5, widths[0], dtype=torch.float64, requires_grad=True)
    maps = tokens.detach().permute(0, 3, 1, 2).requires_grad_()
    y, expected = linear(tokens), conv(maps).permute(0, 2, 3, 1)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
    y.square().sum().backward(), expected.square().sum().backward()
    torch.testing.assert_close(tokens.grad, maps.grad.permute(0, 2, 3, 1), rtol=1e-9, atol=1e-9)
    for (name, param), other in zip(linear.named_parameters(), conv.parameters(), strict=True):
        torch.testing.assert_close(param.grad, other.grad, rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize('widths', [(96, 96), (33, 35), (48, 17)])
@pytest.mark.parametrize('kernel_num', [1, 4, 64])
@pytest.mark.parametrize('mode', [True, False], ids=['train', 'eval'])
def test_weights_of_a_linear_layer_are_reproduced(widths, kernel_num, mode):
    """For tokens of any number of axes, none included, and a single sample."""
    linear = nn.Linear(*widths)
    layer = FDLinear(*widths, kernel_num=kernel_num).train(mode)
    layer.load_state_dict(linear.state_dict())  # strictly
    for shape in ((1,), (4,), (2, 7), (1, 3, 5), (2, 3, 2, 2)):
        x = torch.randn(*shape, widths[0]).relu()
        torch.testing.assert_close(layer(x), linear(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer.to_weight()[..., 0, 0], linear.weight)


def test_samples_do_not_depend_on_the_batch():
    layer = trained(FDLinear(32, 40)).eval()
    x = torch.randn(3, 6, 32)
    for i, y in enumerate(layer(x)):
        torch.testing.assert_close(layer(x[i : i + 1])[0], y)
    assert not torch.allclose(layer(x[:1])[0, :2], layer(x[:1, :2])[0])  # all tokens are seen


def test_copies_compute_the_same():
    layer = trained(FDLinear(20, 24)).eval()
    x = torch.randn(2, 5, 20)
    restored = FDLinear(20, 24).eval()
    restored.load_state_dict(layer.state_dict())
    for copy in (deepcopy(layer), pickle.loads(pickle.dumps(layer)), restored):
        torch.testing.assert_close(copy(x), layer(x))


@pytest.mark.parametrize('training', [True, False])
def test_half_precision(training):
    layer = trained(FDLinear(64, 96, kernel_num=16)).train(training)
    x = torch.randn(4, 50, 64)
    with torch.no_grad():
        expected = deepcopy(layer)(x)
        with torch.autocast('cpu', torch.bfloat16):
            mixed = deepcopy(layer)(x)
        whole = deepcopy(layer).bfloat16()(x.bfloat16())
    assert mixed.dtype == whole.dtype == torch.bfloat16
    for y, tolerance in ((mixed, 0.01), (whole, 0.05)):
        assert (y.float() - expected).norm() < tolerance * expected.norm()


def test_built_from_a_config_and_thin_layers_stay_plain():
    layer = MODELS.build(
        dict(type='mmfreq.FDLinear', in_features=32, out_features=17, kernel_num=8)
    )
    assert type(layer) is FDLinear and layer.kernel_num == 8
    thin = MODELS.build(dict(type='mmfreq.FDLinear', in_features=32, out_features=16, kernel_num=8))
    assert type(thin) is nn.Linear and thin.weight.shape == (16, 32)


def test_bad_input_is_named():
    layer = FDLinear(32, 32)
    with pytest.raises(ValueError, match=r'tokens \(B, ..., 32\).* got \(32,\); add that axis'):
        layer(torch.zeros(32))
    with pytest.raises(ValueError, match='kernel_num must be between 1 and 544'):
        FDLinear(32, 32, kernel_num=545)
    with pytest.raises(ValueError, match='group_order must be one of'):
        FDLinear(32, 32, group_order='nearest')
    with pytest.raises(AttributeError, match=r'FDLinear composes .* leave it out of layers'):
        _ = layer.weight
