"""Layers that work on each position, against their formulas in float64."""

import pytest
import torch
import torch.nn.functional as F

from mmfreq.models.pointwise import GELU, Linear, Mlp, StarReLU


def outputs_and_gradients(function, leaves):
    leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    y = function(*leaves)
    probe = torch.linspace(-2, 2, y.numel(), dtype=torch.float64).reshape(y.shape).cos()
    return [y, *torch.autograd.grad((y.double() * probe).sum(), leaves)]


def assert_close(found, expected, tolerance=1e-5):
    for ours, reference in zip(found, expected, strict=True):
        assert (ours.double() - reference).norm() <= tolerance * reference.norm()


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize('shape', [(2, 5, 7, 24), (1, 1, 1, 24), (3, 24)])
@pytest.mark.parametrize('bias', [True, False])
def test_linear(shape, bias, threads):
    layer = Linear(24, 40, bias=bias)
    operands = [torch.randn(shape), layer.weight, *([layer.bias] if bias else [])]

    def run(x, weight, bias=None):
        return torch.func.functional_call(
            layer, {'weight': weight, **({} if bias is None else {'bias': bias})}, (x,)
        )

    exact = outputs_and_gradients(F.linear, [operand.double() for operand in operands])
    assert_close(outputs_and_gradients(run, operands), exact)
    assert_close([layer(operands[0])], [exact[0]])
    assert layer(operands[0]).is_contiguous()


def test_linear_under_autocast_is_a_linear_layer():
    layer, x = Linear(24, 40), torch.randn(2, 5, 7, 24)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = layer(x)
        torch.testing.assert_close(y, F.linear(x, layer.weight, layer.bias), rtol=0, atol=0)
    assert y.dtype == torch.bfloat16


@pytest.mark.parametrize('scale', [1.0, -0.7])
def test_star_relu(scale):
    act = StarReLU()
    with torch.no_grad():
        act.scale.fill_(scale)
        act.bias.fill_(0.3)
    x = torch.randn(4, 6, 5)

    def formula(x, scale, bias):
        return scale * F.relu(x) ** 2 + bias

    def ours(x, scale, bias):
        return torch.func.functional_call(act, {'scale': scale, 'bias': bias}, (x,))

    operands = [x, act.scale, act.bias]
    exact = outputs_and_gradients(formula, [operand.double() for operand in operands])
    assert_close(outputs_and_gradients(ours, operands), exact)
    with torch.inference_mode():
        assert_close([act(x.clone())], [exact[0].detach()])
    half = act(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert_close([half], [exact[0].detach()], 2e-2)


def test_gelu_is_pytorchs():
    x = torch.randn(4, 6, 5, requires_grad=True)
    torch.testing.assert_close(GELU()(x), F.gelu(x), rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(GELU()(x.clone()), F.gelu(x), rtol=0, atol=0)


def kept_for_the_gradient(module, x):
    """Bytes of activations that a call keeps for its gradient."""
    parameters = {param.untyped_storage().data_ptr() for param in module.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(x)
    return sum(kept.values())


def test_what_training_keeps():
    x = torch.randn(2, 6, 6, 16, requires_grad=True) * 1  # an activation, not a leaf
    assert kept_for_the_gradient(StarReLU(), x) == x.nbytes
    # The input, and what is before and behind the activation.
    mlp = Mlp(16, 64, act=StarReLU, bias=False)
    assert kept_for_the_gradient(mlp, x) == x.nbytes * (1 + 4 + 4)
