"""Operators that compiled graphs have for a CPU, and that exported graphs do not have."""

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from mmfreq.models.pointwise import Linear
from mmfreq.ops import (
    RESIZE_MODES,
    dct2,
    dynamic_filter2d,
    idct2,
    products,
    resize_filter,
    spectral_filter2d,
)
from mmfreq.ops.composition import Attentions, compose_kernels
from mmfreq.ops.resize import resize_filter_once

OPERATORS = torch.ops.mmfreq


@pytest.fixture(autouse=True)
def compiler():
    torch._dynamo.reset()
    counters.clear()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # with one, linear layers are no convolutions
    yield
    torch.set_num_threads(threads)


def leaf(*shape):
    return torch.randn(shape).requires_grad_()


def channels_last(*shape):
    return torch.randn(shape).contiguous(memory_format=torch.channels_last).requires_grad_()


def attentions():
    groups, channels, filters = leaf(2, 3), leaf(2, 4), leaf(2, 5)
    return Attentions(groups, channels, filters, leaf(2, 9), leaf(2, 4, 6), leaf(45, 6))


def large_slice():
    """Half of the channels of maps that are filtered in pieces."""
    return channels_last(1, 80, 150, 150).detach()[:, :40].requires_grad_()


SPECTRUM = (15, 7, 2)
GROUP_MAP = torch.arange(15 * 7).reshape(15, 7) % 3


@pytest.mark.parametrize(
    ('name', 'operands'),
    [
        ('filter_maps', (channels_last(2, 3, 6, 5), leaf(3, 6, 3, 2), None, 'fft')),
        ('filter_maps', (leaf(2, 3, 6, 5), leaf(4, 6, 3, 2), leaf(2, 4, 3), 'mixed')),
        ('convolve_1x1', (channels_last(2, 3, 4, 5), leaf(6, 3), leaf(6))),
        ('convolve_1x1', (leaf(2, 3, 1, 5), leaf(6, 3), None)),
        ('constant', ('mmfreq.ops.kernels.gemm._columns', '8', [10, 8], torch.float32, 'cpu')),
        ('filter_maps', (large_slice(), leaf(40, 150, 76, 2), None, 'fft')),
        (
            'constant',
            ('mmfreq.ops.kernels.fft._half_step_array', '8', [5], torch.complex128, 'cpu'),
        ),
        *(
            ('resize_filter', (torch.randn(3, 6, 4, 2), [6, 6], [8, 5], mode, 'bicubic'))
            for mode in RESIZE_MODES
        ),
        *(
            ('transform_cosines', (leaf(2, 5, 6, 3), inverse, backend))
            for inverse in (False, True)
            for backend in ('fft', 'gemm')
        ),
        (
            'heat_decay',
            (torch.randn(3, 3), torch.randn(3), torch.randn(4, 5, 3), [6, 5], 'interpolate'),
        ),
        ('compose_kernels', (leaf(*SPECTRUM), GROUP_MAP, *attentions(), [5, 4, 3, 3])),
    ],
)
def test_operators_are_what_they_claim_to_be(name, operands):
    """Shapes, strides, no aliases, and gradients in graphs that are compiled."""
    operands = [torch.device(x) if x == 'cpu' else x for x in operands]
    torch.library.opcheck(getattr(OPERATORS, name).default, operands)


def gradients(function, operands):
    y = function(*operands)
    probe = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
    return [y, *torch.autograd.grad((y * probe).sum(), operands)]


def compose(*operands):
    spectrum, *weights = operands
    return compose_kernels(spectrum, GROUP_MAP, Attentions(*weights), (5, 4, 3, 3))


@pytest.mark.parametrize(
    ('function', 'operands'),
    [
        (spectral_filter2d, (channels_last(2, 3, 6, 5), leaf(3, 6, 3, 2))),
        (dynamic_filter2d, (leaf(2, 3, 6, 5), leaf(4, 6, 3, 2), leaf(2, 4, 3))),
        (dct2, (leaf(2, 5, 6, 3),)),
        (idct2, (leaf(2, 5, 6, 3),)),
        (compose, (leaf(*SPECTRUM), *attentions())),
    ],
)
def test_results_and_gradients_are_those_of_eager_mode(function, operands):
    compiled = torch.compile(function, fullgraph=True, backend='aot_eager')
    for ours, theirs in zip(
        gradients(compiled, operands), gradients(function, operands), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('is_intel', [False, True])
def test_linear_layers_have_the_gradients_of_eager_mode(is_intel, monkeypatch):
    monkeypatch.setattr(products, '_IS_INTEL', is_intel)
    layer, x = Linear(3, 5), leaf(2, 4, 6, 3)
    operands = (x, layer.weight, layer.bias)

    def run(module):
        return gradients(lambda *_: module(x), operands)

    compiled = torch.compile(layer, fullgraph=True, backend='aot_eager')
    plain = nn.Linear(3, 5)
    plain.weight, plain.bias = layer.weight, layer.bias
    for module in (compiled, layer):
        for ours, theirs in zip(run(module), run(plain), strict=True):
            torch.testing.assert_close(ours, theirs)


class Block(nn.Module):
    """A filter that is resized, cosines in between, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 8, 5, 2))
        self.linear = Linear(4, 4)

    def forward(self, x):
        size = (x.shape[-2], x.shape[-1])
        y = spectral_filter2d(x, resize_filter(self.weight, (8, 8), size))
        return self.linear(y.permute(0, 2, 3, 1))


# Without is_exporting, in torch 2.6, a strict export cannot be told from compiling.
STRICT = [False, True] if hasattr(torch.compiler, 'is_exporting') else [False]


@pytest.mark.parametrize('strict', STRICT)
def test_exported_graphs_have_standard_operators_only(strict):
    images = torch.randn(1, 4, 6, 8)
    block = Block().eval().requires_grad_(False)
    program = torch.export.export(block, (images,), strict=strict)
    targets = {str(node.target) for node in program.graph.nodes}
    assert not any('mmfreq' in target for target in targets), targets
    torch.testing.assert_close(program.module()(images), block(images), rtol=1e-4, atol=1e-4)


def test_a_resized_filter_is_a_copy_that_follows_its_parameter():
    weight = nn.Parameter(torch.randn(3, 6, 4, 2))
    sizes = ((6, 6), (8, 8), 'kernel')

    @torch.compile(fullgraph=True, backend='aot_eager')
    def resized(weight):
        return resize_filter_once(weight, *sizes)

    with torch.no_grad():
        for _ in range(2):
            found = resized(weight)
            torch.testing.assert_close(found, resize_filter(weight, *sizes))
            found.zero_()
            torch.testing.assert_close(resized(weight), resize_filter(weight, *sizes))
            weight.data.mul_(2)


@pytest.mark.parametrize('mode', RESIZE_MODES)
def test_resized_filters_of_all_modes_are_compiled(mode):
    weight = torch.randn(3, 6, 4, 2)

    @torch.compile(fullgraph=True)
    def scaled(weight):
        return 2 * resize_filter_once(weight, (6, 6), (8, 5), mode)

    with torch.no_grad():
        torch.testing.assert_close(scaled(weight), 2 * resize_filter(weight, (6, 6), (8, 5), mode))


def test_cosine_transforms_by_fft_are_compiled_in_double_precision():
    x = torch.randn(1, 6, 7, 3, dtype=torch.float64)
    compiled = torch.compile(lambda x: dct2(x, 'fft'), fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(x), dct2(x, 'fft'), rtol=1e-12, atol=1e-12)
