import numpy as np
import pytest
import torch

from mmfreq.ops.kernel_spectrum import (
    frequency_groups,
    kernel_to_spectrum,
    spectrum_to_kernel,
)
from mmfreq.ops.spectrum import from_parts

SHAPES = [(4, 6, 3, 3), (5, 3, 3, 3), (3, 5, 1, 1), (1, 1, 1, 1), (2, 7, 2, 3)]


@pytest.mark.parametrize('shape', SHAPES)
def test_spectrum_of_the_image_of_weights(shape):
    kernel = torch.randn(shape, dtype=torch.float64)
    out_channels, in_channels, height, width = shape
    image = np.zeros((out_channels * height, in_channels * width))
    for o, i, u, v in np.ndindex(*shape):
        image[o * height + u, i * width + v] = kernel[o, i, u, v]
    spectrum = kernel_to_spectrum(kernel)
    complex_spectrum = torch.view_as_complex(spectrum).numpy()
    np.testing.assert_allclose(complex_spectrum, np.fft.rfft2(image), atol=1e-12)
    torch.testing.assert_close(spectrum_to_kernel(spectrum, shape), kernel)


@pytest.mark.parametrize('shape', SHAPES)
def test_gradient_through_any_spectrum(shape):
    size = kernel_to_spectrum(torch.zeros(shape)).shape
    parts = torch.randn(2, *size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda parts: spectrum_to_kernel(parts, shape), parts)


@pytest.mark.parametrize('size', [(6, 6), (9, 15), (7, 8), (1, 5), (12, 1), (192, 192)])
@pytest.mark.parametrize('num_groups', [1, 2, 3, 5])
def test_groups_are_balanced_and_ordered_by_frequency(size, num_groups):
    groups = frequency_groups(size, num_groups).numpy()
    rows = np.fft.fftfreq(size[0])[:, None]
    radius = np.hypot(rows, np.fft.rfftfreq(size[1])).round(9)
    assert groups.shape == radius.shape
    counts = np.bincount(groups.flatten(), minlength=num_groups)
    assert counts.max() - counts.min() <= 1
    in_order = np.concatenate([np.sort(radius[groups == i]) for i in range(num_groups)])
    assert (np.diff(in_order) >= 0).all()
    order = np.argsort(groups, axis=None, kind='stable')
    same = np.flatnonzero(radius.flatten() == radius.flatten()[order[0]])
    assert list(same) == sorted(same)


# Output channels, input channels, side of the kernel, groups; how many coefficients change groups.
ORIGINAL_GROUPS = {
    (64, 64, 1, 64): 0,
    (256, 64, 1, 64): 0,
    (2048, 512, 1, 64): 0,
    (48, 32, 3, 4): 0,
    (64, 64, 3, 4): 4,
    (64, 64, 3, 32): 22,
    (64, 64, 3, 64): 40,
    (128, 64, 3, 64): 34,
    (128, 128, 3, 64): 12,
    (256, 256, 3, 64): 14,
    (512, 256, 3, 64): 30,
    (512, 512, 3, 64): 38,
}


@pytest.mark.parametrize(('layer', 'moved'), ORIGINAL_GROUPS.items())
def test_the_faithful_order_moves_as_many_coefficients_as_in_the_original(layer, moved):
    exact, faithful = (original_groups(layer, order) for order in ('exact', 'float32'))
    assert int((exact != faithful).sum()) == moved


@pytest.mark.parametrize('layer', ORIGINAL_GROUPS)
def test_the_faithful_groups_are_the_original_ones(layer, reference):
    for order in ('exact', 'float32'):
        rule = reference.fdconv_group_map(*layer, exceptions=order == 'float32')
        np.testing.assert_array_equal(original_groups(layer, order), rule)


def original_groups(layer, order):
    out_channels, in_channels, side, kernel_num = layer
    return frequency_groups((out_channels * side, in_channels * side), kernel_num, order)


@pytest.mark.parametrize('size', [(300, 520), (257, 4), (2, 263), (512, 1)])
def test_large_kernels_by_products_of_small_matrices(size):
    height, width = size
    z = torch.randn(2, height, width // 2 + 1, dtype=torch.complex128)
    expected = torch.fft.irfft2(z, s=size, norm='backward')
    found = from_parts(z.real, z.imag, width, 'backward', 'gemm')
    torch.testing.assert_close(found, expected)
    single = from_parts(z.real.float(), z.imag.float(), width, 'backward', 'gemm')
    assert (single - expected).norm() / expected.norm() < 1e-6
