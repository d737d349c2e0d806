import numpy as np
import pytest
import torch

from mmfreq.ops import irfft2, rfft2
from mmfreq.ops.fft import hermitian

SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 5), (4, 7), (7, 4), (8, 8), (9, 9), (14, 21)]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('norm', ['ortho', 'backward', 'forward'])
def test_matches_numpy_and_inverts(size, norm):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    spectrum = rfft2(x, norm=norm)
    np.testing.assert_allclose(spectrum, np.fft.rfft2(x, norm=norm), atol=1e-12)
    np.testing.assert_allclose(irfft2(spectrum, size, norm=norm), x, atol=1e-12)


@pytest.mark.parametrize('size', SIZES)
def test_any_spectrum_gives_what_numpy_gives(size):
    """A learned filter leaves columns that no real image has; NumPy uses their Hermitian part."""
    height, width = size
    z = torch.randn(2, height, width // 2 + 1, dtype=torch.complex128)
    expected = np.fft.irfft2(z.numpy(), s=size, norm='ortho')
    np.testing.assert_allclose(irfft2(z, size), expected, atol=1e-12)


@pytest.mark.parametrize('size', SIZES)
def test_result_does_not_depend_on_how_a_library_reads_the_columns(size):
    """A library may read the upper half of the DC and Nyquist columns and mirror it."""
    height, width = size
    z = hermitian(torch.randn(height, width // 2 + 1, dtype=torch.complex128), width)
    mirrored = z.clone()
    for column in {0, width // 2} if width % 2 == 0 else {0}:
        for row in range(height // 2 + 1, height):
            mirrored[row, column] = z[height - row, column].conj()
        for row in {0, height // 2} if height % 2 == 0 else {0}:
            mirrored[row, column] = z[row, column].real
    torch.testing.assert_close(z, mirrored, rtol=0, atol=1e-15)


@pytest.mark.parametrize('size', [(4, 6), (5, 7), (1, 1), (3, 2)])
def test_gradients(size):
    x = torch.randn(2, *size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: torch.view_as_real(rfft2(x)), x)
    z = torch.randn(2, size[0], size[1] // 2 + 1, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: irfft2(z, size), z)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_transformed_in_fp32_and_cast_back(dtype):
    x = torch.randn(2, 7, 9).to(dtype)
    spectrum = rfft2(x)
    assert spectrum.dtype == torch.complex64
    torch.testing.assert_close(spectrum, rfft2(x.float()), rtol=0, atol=0)
    back = irfft2(spectrum, (7, 9), dtype=dtype)
    assert back.dtype == dtype
    torch.testing.assert_close(back, x, rtol=1e-2, atol=1e-2)


def test_autocast_changes_nothing():
    x = torch.randn(2, 3, 7, 9)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        spectrum = rfft2(x)
        back = irfft2(spectrum, (7, 9))
    torch.testing.assert_close(spectrum, rfft2(x), rtol=0, atol=0)
    assert back.dtype == torch.float32


def test_strided_planes_give_contiguous_spectra():
    x = torch.randn(2, 9, 8, 3).permute(0, 3, 1, 2)
    spectrum = rfft2(x)
    torch.testing.assert_close(spectrum, torch.fft.rfft2(x, norm='ortho'))


@pytest.mark.parametrize(
    ('call', 'error', 'message'),
    [
        (lambda: rfft2(torch.zeros(2, 0, 4)), ValueError, 'at least 1 x 1'),
        (lambda: rfft2(torch.zeros(4)), ValueError, 'at least 1 x 1'),
        (lambda: rfft2(torch.zeros(4, 4, dtype=torch.cfloat)), TypeError, 'real'),
        (lambda: irfft2(torch.zeros(4, 3, 2), (4, 4)), TypeError, 'view_as_complex'),
        (lambda: irfft2(torch.zeros(4, 3, dtype=torch.cfloat), (4, 6)), ValueError, r'\(4, 4\)'),
        (lambda: irfft2(torch.zeros(4, 1, dtype=torch.cfloat), (4, 0)), ValueError, 'size'),
    ],
)
def test_wrong_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
