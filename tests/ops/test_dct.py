import math

import pytest
import torch

from mmfreq.ops import dct2, dct_frequencies, idct2

SIZES = [(1, 1), (1, 5), (2, 2), (3, 4), (7, 5), (8, 8), (13, 16)]


def direct_sum(x):
    """Reference: the definition, summed in float64."""
    batch, height, width, channels = x.shape
    z = torch.zeros(batch, height, width, channels, dtype=torch.float64)
    for n in range(height):
        for m in range(width):
            rows = (math.pi * n * (torch.arange(height) + 0.5) / height).cos()
            columns = torch.tensor(
                [math.cos(math.pi * m * (j + 0.5) / width) for j in range(width)]
            )
            scale = math.sqrt((1 if n == 0 else 2) / height * (1 if m == 0 else 2) / width)
            wave = scale * rows[:, None] * columns
            z[:, n, m] = (x.double() * wave[..., None]).sum((1, 2))
    return z


@pytest.fixture(autouse=True)
def double_by_default():
    torch.set_default_dtype(torch.float64)  # for the reference's constants
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_output_and_gradient_against_direct_sum(size, dtype, tolerance):
    x = torch.randn(2, *size, 3, dtype=dtype)
    probe = torch.randn(2, *size, 3)
    results = []
    for function in (dct2, direct_sum):
        leaf = x.clone().requires_grad_()
        z = function(leaf)
        (grad,) = torch.autograd.grad((z * probe).sum(), leaf)
        results.append([z.double(), grad.double()])
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('size', SIZES)
def test_inverse_and_norm(size):
    x = torch.randn(2, *size, 3)
    z = dct2(x)
    torch.testing.assert_close(idct2(z), x)
    torch.testing.assert_close(z.norm(), x.norm())


def test_gradcheck():
    x = torch.randn(1, 3, 4, 2, requires_grad=True)
    assert torch.autograd.gradcheck(dct2, x)
    assert torch.autograd.gradcheck(idct2, x)


def test_a_cosine_is_one_coefficient_at_its_frequency():
    positions = torch.arange(32) + 0.5
    for n in (0, 3, 31):
        frequency = dct_frequencies(32)[n]
        wave = (2 * math.pi * frequency * positions).cos()
        z = dct2(wave.reshape(1, 32, 1, 1)).flatten()
        assert z.abs().argmax() == n
        assert z.abs().sort().values[-2] < 1e-12


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_transformed_in_float32(dtype):
    x = torch.randn(1, 6, 5, 2).to(dtype)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        z = dct2(x)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.double(), dct2(x.double()), rtol=1e-5, atol=1e-5)
    assert idct2(z, dtype).dtype == dtype


def test_matrices_made_in_inference_mode_serve_training():
    with torch.inference_mode():
        dct2(torch.randn(1, 9, 11, 2))
    x = torch.randn(1, 9, 11, 2, requires_grad=True)
    dct2(x).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())


@pytest.mark.parametrize('shape', [(3, 4, 2), (1, 0, 4, 2), (1, 4, 0, 2)])
def test_wrong_shapes_are_named(shape):
    with pytest.raises(ValueError, match='B, H, W, C'):
        dct2(torch.zeros(shape))
