"""Costs of single operators, by hand, and of networks, against published numbers."""

import math

import pytest
import torch
import torch.nn.functional as F
from families import TINY
from torch import nn

from mmfreq.analysis.cost.flops import count_cost
from mmfreq.analysis.cost.operator_costs import CONVENTIONS
from mmfreq.analysis.cost.published import compare
from mmfreq.facts import read_published
from mmfreq.models.fdconv import FDConv
from mmfreq.models.mixers import AdaptiveFilter, GlobalFilter
from mmfreq.ops import dct2, dynamic_filter2d, irfft2, rfft2, spectral_filter2d
from mmfreq.zoo import backbone_config, build_backbone

C, H, W = 3, 12, 20
HALF = W // 2 + 1
LOG = math.log2(H * W)


class Network(nn.Module):
    def __init__(self, function, *weights):
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(weights)

    def forward(self, images):
        return self.function(images, *self.weights)


def flops(function, *weights, convention='paper', images=None):
    images = torch.randn(1, C, H, W) if images is None else images
    cost = count_cost(Network(function, *weights), images, CONVENTIONS[convention])
    assert not cost.uncounted
    return cost.flops


def random(*shape):
    return nn.Parameter(torch.randn(shape))


@pytest.mark.parametrize(('convention', 'factor'), [('paper', 1), ('exact', 2.5)])
def test_transforms(convention, factor):
    pair = factor * 2 * C * H * W * LOG
    count = lambda function: flops(function, convention=convention)  # noqa: E731
    assert count(lambda x: irfft2(rfft2(x), (H, W))) == pytest.approx(pair, abs=1)
    assert count(lambda x: torch.fft.irfft2(torch.fft.rfft2(x), s=(H, W))) == round(pair)
    assert count(lambda x: torch.fft.ifft2(torch.fft.fft2(x)).real) == round(2 * pair)
    rows = factor * C * H * W * math.log2(W)
    assert count(torch.fft.rfft) == round(rows)
    columns = factor * C * H * W * math.log2(H)
    assert count(lambda x: torch.fft.rfft(x, dim=2)) == round(columns)
    everything = factor * C * H * W * math.log2(C * H * W)
    assert count(torch.fft.rfftn) == round(everything)
    assert count(lambda x: torch.ops.aten._fft_r2c(x, [2, 3], 1, True)) == round(pair / 2)
    assert count(lambda x: torch.ops.aten._fft_c2c(x.cfloat(), [2, 3], 1, True)) == round(pair)


@pytest.mark.parametrize(('convention', 'unit', 'product'), [('paper', 1, 4), ('exact', 2, 6)])
def test_products(convention, unit, product):
    count = lambda function, *weights: flops(function, *weights, convention=convention)  # noqa: E731
    assert count(lambda x: x * x) == C * H * W
    assert count(lambda x: 3 * x) == 0
    assert count(lambda x, w: x.cfloat() * w, random(W)) == 2 * C * H * W
    assert count(lambda x: x.cfloat() * x.cfloat()) == product * C * H * W
    assert count(lambda x, w: x @ w, random(W, 7)) == unit * C * H * W * 7
    assert count(lambda x, w: w @ x, random(7, H)) == unit * 7 * H * C * W  # broadcast
    assert count(lambda x, w: F.linear(x, w), random(7, W)) == unit * C * H * W * 7
    assert (
        count(lambda x, w: x.cfloat() @ w.to(x.cfloat()), random(W, 7)) == 4 * unit * C * H * W * 7
    )
    assert count(lambda x, w: F.conv2d(x, w, padding=1), random(8, C, 3, 3)) == (
        unit * 8 * C * 9 * H * W
    )


@pytest.mark.parametrize(
    ('equation', 'shape', 'expected'),
    [
        ('bchw,chw->bchw', (C, H, W), C * H * W),
        ('bchw,cd->bdhw', (C, 5), C * 5 * H * W),
        ('...hw,wv->...hv', (W, 5), C * H * W * 5),
        ('bchw,hk', (H, 4), C * H * W * 4),
    ],
)
def test_einsum(equation, shape, expected):
    assert flops(lambda x, w: torch.einsum(equation, x, w), random(*shape)) == expected


def test_einsum_of_three_contracts_from_the_left():
    first, second = random(C, 5), random(5, 2)
    count = flops(lambda x, a, b: torch.einsum('bchw,cd,de->behw', x, a, b), first, second)
    assert count == H * W * (C * 5 + 5 * 2)


def test_attention_and_interpolation():
    tokens = lambda x: x.flatten(2).transpose(1, 2)  # noqa: E731
    count = flops(lambda x: F.scaled_dot_product_attention(tokens(x), tokens(x), tokens(x)))
    assert count == 2 * (H * W) ** 2 * C
    size = (2 * H, 2 * W)
    for mode, taps in (('nearest', 0), ('bilinear', 4), ('bicubic', 16)):
        assert flops(lambda x, m=mode: F.interpolate(x, size, mode=m)) == 4 * taps * C * H * W
    assert flops(lambda x: F.avg_pool2d(x, 3, 1, 1)) == 9 * C * H * W


def test_deformable_and_region_operators():
    from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack, RoIAlign
    from torchvision.ops import deform_conv2d, roi_align

    convolution = 8 * C * 9 * H * W
    samples = 4 * C * 9 * H * W
    for layer, offsets in ((DeformConv2dPack, 18), (ModulatedDeformConv2dPack, 27)):
        expected = convolution + samples + offsets * C * 9 * H * W
        assert flops(layer(C, 8, 3, padding=1)) == expected
    kernel, offset = random(8, C, 3, 3), random(1, 18, H, W)
    layer = lambda x, w, offset: deform_conv2d(x, offset, w, padding=1)  # noqa: E731
    assert flops(layer, kernel, offset) == convolution + samples
    rois = torch.tensor([[0.0, 0, 0, 8, 8]] * 6)
    assert flops(lambda x: RoIAlign(7)(x, rois)) == 6 * C * 49 * 16
    assert flops(lambda x: roi_align(x, rois, 7)) == 6 * C * 49 * 16


def test_filters_of_this_library():
    transforms = 2 * C * H * W * LOG
    product = 4 * C * H * HALF
    images = torch.randn(1, H, W, C)
    assert flops(GlobalFilter(C, (H, W)), images=images) == pytest.approx(
        transforms + product, rel=1e-4
    )
    basis, coefficients = random(4, H, HALF, 2), random(1, 4, C)
    combined = 2 * 4 * C * H * HALF
    assert flops(dynamic_filter2d, basis, coefficients) == pytest.approx(
        transforms + product + combined, rel=1e-4
    )
    assert flops(dct2, images=images) == C * H * W * (H + W)
    mask = 2 * (2 * 2) * 8 * H * HALF  # two layers of a 2x2 real matrix in each of 8 blocks
    images = torch.randn(1, H, W, 8)
    assert flops(AdaptiveFilter(8, dict(type='ReLU')), images=images) == pytest.approx(
        8 / C * (transforms + product) + mask, rel=1e-4
    )


def test_interpolated_filters_count_also_the_second_time():
    layer, images = GlobalFilter(C, (6, 6), resize_mode='interpolate'), torch.randn(1, H, W, C)
    with torch.no_grad():
        layer.eval()(images)  # caches the filter
    first, second = (flops(layer, images=images) for _ in range(2))
    stored = flops(GlobalFilter(C, (H, W)), images=images)
    assert first == second == stored + 16 * 2 * C * H * HALF


def test_per_sample_convolution():
    layer, images = FDConv(32, 64, 1, kernel_num=4), torch.randn(1, 32, H, W)
    cost = count_cost(layer, images, CONVENTIONS['paper'])
    attention = 64 * 32 * 3  # along the input channels
    assert cost.operators['_convolution'] == 32 * 64 * H * W
    assert cost.operators['matmul'] == attention
    assert cost.operators['fft_irfft2'] == round(32 * 64 * math.log2(32 * 64))
    assert not cost.uncounted


class Unknown(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x @ x.mT


def test_unknown_operators_are_named():
    network = Network(lambda x: torch.linalg.inv(Unknown.apply(x)) + x.sum())
    cost = count_cost(network, torch.randn(1, C, H, W), CONVENTIONS['paper'])
    assert cost.uncounted == {'prim::PythonOp.Unknown': 1, 'aten::linalg_inv': 1}


LARGE = ('HorNet-T-GF + UPerNet', 'FDConv-R50 + Mask R-CNN')
ROWS = [
    pytest.param(row, id=row['name'], marks=[pytest.mark.slow] * (row['name'] in LARGE))
    for row in read_published().costs
]

# Blocks and first channels of networks of which the published cost agrees with ours once the linear
# layer of the decays is added, which costs the same in every block: see docs/flops.md.
DECAYS_COUNTED = {'vHeat-S + Mask R-CNN': (24, 96), 'vHeat-B + Mask R-CNN': (24, 128)}


@pytest.mark.parametrize('row', ROWS)
@pytest.mark.thorough
def test_published(row):
    """Within 3 % of what was published, or of a number that would be printed like it.

    The rows that differ by more than 3 % are explained in docs/flops.md.
    """
    comparison = compare(row)
    assert comparison.params == (comparison.published_params or comparison.params)
    if row['name'] in DECAYS_COUNTED:
        blocks, channels = DECAYS_COUNTED[row['name']]
        positions = 200 * 320
        comparison = comparison._replace(flops=comparison.flops + blocks * positions * channels**2)
    assert abs(comparison.beyond_rounding) < 0.03
    if row['name'] not in ('GFNet-H-Ti', 'AFFNet-ET'):
        assert abs(comparison.difference) < 0.03


def test_parts_add_up():
    cost = count_cost(
        build_backbone(backbone_config('affnet-et')),
        torch.zeros(1, 3, 64, 96),
        CONVENTIONS['paper'],
    )
    assert sum(part.params for part in cost.parts.values()) == cost.params
    assert sum(part.flops for part in cost.parts.values()) == pytest.approx(cost.flops, abs=4)
    assert sum(cost.operators.values()) == pytest.approx(cost.flops, abs=4)


def test_names():
    assert backbone_config('gfnet-h-s') == backbone_config('mmfreq.GFNet', 'h-s')
    assert backbone_config('fdresnet-18') == dict(type='mmfreq.FDResNet', arch='18')
    assert backbone_config('mmpretrain.ResNet', '34') == dict(type='mmpretrain.ResNet', depth=34)
    for wrong, hint in (
        (('gfnet-hs',), 'did you mean'),
        (('mmfreq.GFNett',), 'mmfreq.GFNet'),
        (('mmfreq.DFFormer', 's8'), 's18'),
        (('convnext-t', 'tiny'), 'leave --arch'),
        (('xyz',), 'there are '),
    ):
        with pytest.raises(ValueError, match=hint):
            backbone_config(*wrong)


@pytest.mark.parametrize('backend', ['fft', 'gemm'])
@pytest.mark.parametrize('name', TINY)
def test_every_operator_of_every_backend_is_counted(name, backend):
    network = TINY[name](backend=backend, out_indices=(0,))
    cost = count_cost(network, torch.randn(1, 3, 64, 64), CONVENTIONS['paper'])
    assert not cost.uncounted
    has_transforms = any('fft' in operator for operator in cost.operators)
    if backend == 'gemm':
        assert not has_transforms


def test_a_filter_by_products_costs_four_matrix_products():
    weight = torch.randn(C, H, HALF, 2)
    found = flops(lambda x, weight: spectral_filter2d(x, weight, 'gemm'), weight)
    columns = 2 * HALF * W * H  # of each channel
    rows = inverse_rows = 2 * H * 2 * H * HALF
    products = 4 * H * HALF
    assert found == C * (2 * columns + rows + inverse_rows + products)


def test_the_default_backend_is_counted_as_an_fft():
    weight = torch.randn(C, H, HALF, 2)
    counts = {
        flops(lambda x, weight, backend=backend: spectral_filter2d(x, weight, backend), weight)
        for backend in ('auto', 'fft', 'triton')
    }
    assert counts == {round(2 * C * H * W * LOG + 4 * C * H * HALF)}
