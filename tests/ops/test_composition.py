import pytest
import torch

from mmfreq.ops.composition import COMPOSE, Attentions, compose_kernels
from mmfreq.ops.kernel_spectrum import frequency_groups, kernel_to_spectrum

SHAPES = [(4, 6, 3, 3), (5, 3, 3, 3), (3, 5, 1, 1), (8, 4, 1, 1), (2, 7, 2, 2)]
LARGE = (48, 33, 3, 3)
GROUPS, WIDTH = 3, 3


def operands(shape, batch, local=True):
    """Spectrum, group map and factors in float64."""
    out_channels, in_channels, side, _ = shape
    spectrum = torch.randn_like(kernel_to_spectrum(torch.zeros(shape).double()))
    factors = [torch.rand(batch, n) * 2 for n in (GROUPS, in_channels, out_channels, side * side)]
    factors += [torch.randn(batch, in_channels, WIDTH)]
    factors += [torch.randn(out_channels * side * side, WIDTH)]
    factors = [factor.double() for factor in factors]
    if side == 1:
        factors[3] = None
    if not local:
        factors[4:] = None, None
    size = (out_channels * side, in_channels * side)
    return spectrum, frequency_groups(size, GROUPS).to(torch.uint8), Attentions(*factors)


def by_definition(spectrum, group_map, attentions, shape):
    """One kernel element after the other."""
    out_channels, in_channels, side, _ = shape
    groups, channels, filters, positions, windows, local = attentions
    z = torch.view_as_complex(spectrum) * groups[:, group_map.long()]
    images = torch.fft.irfft2(z, s=(out_channels * side, in_channels * side))
    kernels = torch.empty(len(groups), *shape, dtype=torch.float64)
    for o in range(out_channels):
        for i in range(in_channels):
            for p in range(side * side):
                u, v = divmod(p, side)
                value = images[:, o * side + u, i * side + v] * filters[:, o] * channels[:, i]
                if positions is not None:
                    value = value * positions[:, p]
                if local is not None:
                    logit = windows[:, i] @ local[o * side * side + p]
                    value = value * 2 / (1 + torch.exp(-logit))
                kernels[:, o, i, u, v] = value
    return kernels


def in_dtype(dtype, spectrum, attentions):
    return spectrum.to(dtype), Attentions(*(a if a is None else a.to(dtype) for a in attentions))


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('backend', COMPOSE)
@pytest.mark.parametrize('grad', [True, False])
@pytest.mark.parametrize('local', [True, False])
def test_kernels_are_those_of_the_definition(shape, backend, grad, local):
    spectrum, group_map, attentions = operands(shape, 2, local)
    expected = by_definition(spectrum, group_map, attentions, shape)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        parts, weighed = in_dtype(dtype, spectrum, attentions)
        with torch.set_grad_enabled(grad):
            kernels = compose_kernels(parts, group_map, weighed, shape, backend)
        assert kernels.dtype == dtype and kernels.shape == expected.shape
        assert (kernels - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('local', [True, False])
@pytest.mark.parametrize('batch', [1, 3])
def test_gradients_are_those_of_finite_differences(shape, local, batch):
    spectrum, group_map, attentions = operands(shape, batch, local)
    leaves = [a for a in (spectrum, *attentions) if a is not None]
    leaves = [leaf.requires_grad_() for leaf in leaves]

    def run(spectrum, *factors):
        factors = iter(factors)
        weighed = Attentions(*(a if a is None else next(factors) for a in attentions))
        return compose_kernels(spectrum, group_map, weighed, shape)

    assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize('backend', COMPOSE)
def test_gradients_in_float32(backend):
    spectrum, group_map, attentions = operands(LARGE, 2)
    probe = torch.randn(2, *LARGE).double()
    grads = []
    for dtype, name in ((torch.float64, 'gemm'), (torch.float32, backend)):
        parts, weighed = in_dtype(dtype, spectrum, attentions)
        leaves = [leaf.requires_grad_() for leaf in (parts, *weighed)]
        kernels = compose_kernels(leaves[0], group_map, Attentions(*leaves[1:]), LARGE, name)
        grads.append(torch.autograd.grad((kernels * probe).sum(), leaves))
    for exact, found in zip(*grads, strict=True):
        assert (found - exact).norm() < 2e-6 * exact.norm()


def test_what_is_given_is_not_written_to():
    spectrum, group_map, attentions = operands(SHAPES[0], 2)
    before = [a.clone() for a in (spectrum, *attentions)]
    with torch.no_grad():
        compose_kernels(spectrum, group_map, attentions, SHAPES[0])
    assert all(a.equal(b) for a, b in zip(before, (spectrum, *attentions), strict=True))


@pytest.mark.parametrize('shape', [SHAPES[1], SHAPES[2]])
def test_second_derivatives_are_those_of_the_formula(shape):
    spectrum, group_map, attentions = operands(shape, 2)
    norms = []
    for backend in COMPOSE:
        leaves = [a for a in (spectrum, *attentions) if a is not None]
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        given = iter(leaves[1:])
        weighed = Attentions(*(a if a is None else next(given) for a in attentions))
        kernels = compose_kernels(leaves[0], group_map, weighed, shape, backend)
        first = torch.autograd.grad(kernels.square().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(grad.square().sum() for grad in first), leaves)
        norms.append([grad.norm() for grad in second])
    torch.testing.assert_close(*norms)


def test_gradients_are_exact_where_autocast_is_on():
    spectrum, group_map, attentions = operands(LARGE, 2)
    parts, weighed = in_dtype(torch.float32, spectrum, attentions)
    grads = []
    for enabled in (False, True):
        leaves = [a.detach().requires_grad_() for a in (parts, *weighed)]
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            kernels = compose_kernels(leaves[0], group_map, Attentions(*leaves[1:]), LARGE)
            kernels.backward(torch.ones_like(kernels))
        grads.append([leaf.grad for leaf in leaves])
    for exact, found in zip(*grads, strict=True):
        torch.testing.assert_close(found, exact)
