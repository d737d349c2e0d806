import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmfreq.ops import RESIZE_MODES, resize_filter, spectral_filter2d


def gaussian(size, sigma):
    """Low-pass with the given width in cycles per pixel, sampled for maps of a size."""
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None]
    gain = torch.from_numpy(np.exp(-(fy**2 + fx**2) / (2 * sigma**2)))
    return torch.stack([gain, torch.zeros_like(gain)], -1)[None]


def error(old, new, sigma, mode):
    resized = resize_filter(gaussian(old, sigma), old, new, mode)
    return float((resized - gaussian(new, sigma)).abs().max())


@pytest.mark.parametrize(
    ('old', 'new', 'sigma', 'interpolated'),
    [
        ((56, 56), (128, 128), 0.15, 0.038),
        ((28, 28), (64, 64), 0.15, 0.073),
        ((14, 14), (32, 32), 0.15, 0.156),
        ((7, 7), (16, 16), 0.15, 0.281),
        ((7, 7), (25, 42), 0.15, 0.343),
        ((14, 14), (50, 84), 0.05, 0.568),
    ],
)
def test_gaussian_low_pass(old, new, sigma, interpolated):
    """Interpolation is wrong by the amounts measured on the original; the kernel mode is not.

    At sigma 0.15 the gain at the Nyquist frequency is still 0.004, so the kernel has tails that no
    map holds; they bound the error of the kernel mode by 0.002. At sigma 0.05 the kernel is wider
    than a 14 x 14 map.
    """
    assert error(old, new, sigma, 'interpolate') == pytest.approx(interpolated, abs=0.001)
    assert error(old, new, sigma, 'kernel') < (0.002 if sigma == 0.15 else 0.04)


@pytest.mark.parametrize('old', [(14, 14), (15, 15), (28, 28), (56, 56), (28, 21)])
@pytest.mark.parametrize('new', [(64, 64), (57, 80), (101, 168)])
def test_kernel_is_exact_where_the_kernel_fits(old, new):
    assert error(old, new, 0.1, 'kernel') < 1e-4
    assert error(new, old, 0.1, 'kernel') < 1e-4


@pytest.mark.parametrize('old', [(6, 6), (7, 7), (6, 7), (1, 1), (2, 5)])
@pytest.mark.parametrize('new', [(12, 12), (9, 14), (13, 9)])
def test_kernel_keeps_the_response_in_pixels(old, new):
    """The response to an impulse on the larger map is that on the smaller one, elsewhere zero."""
    weight = torch.randn(2, old[0], old[1] // 2 + 1, 2, dtype=torch.float64)
    responses = []
    for size, filters in ((old, weight), (new, resize_filter(weight, old, new, 'kernel'))):
        impulse = torch.zeros(1, 2, *size, dtype=torch.float64)
        impulse[:, :, size[0] // 2, size[1] // 2] = 1
        responses.append(spectral_filter2d(impulse, filters))
    top, left = (n // 2 - o // 2 for n, o in zip(new, old, strict=True))
    pad = (left, new[1] - old[1] - left, top, new[0] - old[0] - top)
    torch.testing.assert_close(responses[1], F.pad(responses[0], pad))


@pytest.mark.parametrize('old', [(6, 6), (7, 7), (6, 7), (5, 8)])
@pytest.mark.parametrize('new', [(12, 12), (9, 14), (13, 9), (7, 8), (7, 16)])
def test_spectrum_keeps_coefficients_at_their_frequency(old, new):
    weight = torch.randn(2, old[0], old[1] // 2 + 1, 2, dtype=torch.float64)
    resized = resize_filter(weight, old, new, 'spectrum')
    for u in range(-new[0] // 2 + 1, new[0] // 2 + 1):
        for v in range(new[1] // 2 + 1):
            inside = abs(u) <= old[0] // 2 and v <= old[1] // 2
            expected = weight[:, u % old[0], v] if inside else torch.zeros(2, 2).double()
            torch.testing.assert_close(resized[:, u % new[0], v], expected)
    torch.testing.assert_close(resize_filter(resized, new, old, 'spectrum'), weight)


@pytest.mark.parametrize('old', [(8, 8), (9, 9), (8, 9)])
@pytest.mark.parametrize('new', [(4, 4), (5, 5), (3, 8), (1, 1)])
def test_spectrum_shrinks_symmetric_filters_to_symmetric_ones(old, new):
    gain = gaussian(old, 0.2)
    resized = resize_filter(gain, old, new, 'spectrum')[0, ..., 0]
    mirrored = resized.flip(0).roll(1, 0)
    torch.testing.assert_close(resized, mirrored)


@pytest.mark.parametrize('new', [(128, 128), (7, 7), (50, 84), (3, 2)])
def test_interpolate_is_what_the_original_does(new):
    """main_gfnet.py: bicubic with aligned corners on (1, 2C, h, w // 2 + 1)."""
    weight = torch.randn(4, 14, 8, 2)
    released = weight.permute(1, 2, 0, 3)  # (h, w // 2 + 1, C, 2)
    image = released.reshape(1, 14, 8, 8).permute(0, 3, 1, 2)
    size = (new[0], new[1] // 2 + 1)
    image = F.interpolate(image, size=size, mode='bicubic', align_corners=True)
    expected = image.permute(0, 2, 3, 1).reshape(*size, 4, 2).permute(2, 0, 1, 3)
    resized = resize_filter(weight, (14, 14), new, 'interpolate')
    torch.testing.assert_close(resized, expected, rtol=0, atol=0)


@pytest.mark.parametrize('mode', RESIZE_MODES)
@pytest.mark.parametrize('new', [(1, 1), (2, 2), (3, 4), (6, 5), (9, 12), (12, 9)])
def test_every_size_and_its_gradient(mode, new):
    weight = torch.randn(1, 5, 4, 2, dtype=torch.float64, requires_grad=True)
    resized = resize_filter(weight, (5, 6), new, mode)
    assert resized.shape == (1, new[0], new[1] // 2 + 1, 2)
    assert torch.autograd.gradcheck(lambda w: resize_filter(w, (5, 6), new, mode), weight)


@pytest.mark.parametrize('mode', RESIZE_MODES)
def test_keeps_dtype_and_returns_the_weight_itself_at_its_size(mode):
    weight = torch.randn(2, 6, 4, 2).bfloat16()
    assert resize_filter(weight, (6, 6), (9, 8), mode).dtype == torch.bfloat16
    assert resize_filter(weight, (6, 6), (6, 6), mode) is weight


def test_wrong_arguments_are_named():
    weight = torch.zeros(2, 6, 4, 2)
    with pytest.raises(ValueError, match=r"'interpolate', 'kernel', 'spectrum'.*got 'bilinear'"):
        resize_filter(weight, (6, 6), (8, 8), 'bilinear')
    with pytest.raises(ValueError, match=r'\(6, 5, 2\), got \(2, 6, 4, 2\)'):
        resize_filter(weight, (6, 8), (8, 8), 'kernel')
    with pytest.raises(ValueError, match='positive'):
        resize_filter(weight, (6, 6), (0, 8), 'kernel')
