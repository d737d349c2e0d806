from fractions import Fraction

import numpy as np
import pytest
import torch

from mmfreq.ops.bands import LOW_PASS, _low_frequencies, low_frequencies, low_pass

SIZES = [(64, 64), (40, 56), (41, 57), (100, 168), (1, 1), (3, 2), (2, 1), (1, 16)]
FACTORS = (1, 2, 4, 8)


def masks_of(size, masks):
    """Whether each factor leaves each coefficient of the half spectrum."""
    rows, sizes = low_frequencies(size, FACTORS, masks)
    kept = np.zeros((len(FACTORS), size[0], size[1] // 2 + 1), bool)
    for mask, (count, columns) in zip(kept, sizes, strict=True):
        mask[list(rows[:count]), :columns] = True
    return kept


@pytest.mark.parametrize('size', SIZES)
def test_exact_masks_are_those_of_the_true_frequencies(size):
    height, width = size
    for factor, mask in zip(FACTORS, masks_of(size, 'exact'), strict=True):
        for row, column in np.ndindex(mask.shape):
            frequency = max(Fraction(min(row, height - row), height), Fraction(column, width))
            assert mask[row, column] == (frequency <= Fraction(1, 2 * factor))


@pytest.mark.parametrize(
    ('size', 'misplaced'), [((100, 168), [177, 98, 39]), ((200, 336), [713, 345, 178])]
)
def test_the_faithful_masks_are_misplaced_where_the_original_is(size, misplaced):
    """As counted on the original; at the first edge 135 and 269 more, which lie on it."""
    wrong = masks_of(size, 'exact') != masks_of(size, 'nearest')
    assert wrong.sum((1, 2))[1:].tolist() == misplaced


def test_faithful_masks_at_the_original_size():
    exact, faithful = masks_of((64, 64), 'exact'), masks_of((64, 64), 'nearest')
    np.testing.assert_array_equal(exact[2:], faithful[2:])
    assert not faithful[1, 16].any() and exact[1, 16, :17].all()  # it loses its own edge


@pytest.mark.parametrize('masks', ['exact', 'nearest'])
@pytest.mark.parametrize('backend', ['auto', *LOW_PASS])
@pytest.mark.parametrize('size', SIZES)
def test_outputs_and_gradients_agree_with_float64(size, backend, masks):
    height, width = size
    x = torch.randn(2, 3, height, width, requires_grad=True)
    exact = x.detach().double().requires_grad_()
    z = torch.fft.rfft2(exact)
    expected = [
        torch.fft.irfft2(z * torch.from_numpy(mask), s=size) for mask in masks_of(size, masks)
    ]
    lows = low_pass(x, FACTORS, masks, backend)
    probes = [torch.randn(x.shape, dtype=torch.float64) for _ in FACTORS]
    for low, reference in zip(lows, expected, strict=True):
        assert (low - reference).norm() <= 1e-6 * exact.norm()
    grad, reference = (
        torch.autograd.grad(sum((p * y).sum() for p, y in zip(probes, ys, strict=True)), leaf)[0]
        for ys, leaf in ((lows, x), (expected, exact))
    )
    assert (grad - reference).norm() <= 2e-6 * reference.norm()


@pytest.mark.parametrize('backend', LOW_PASS)
def test_low_precision_is_filtered_in_float32(backend):
    x = torch.randn(1, 2, 12, 12)
    with torch.autocast('cpu', torch.bfloat16):
        found = low_pass(x.bfloat16(), (2, 4), backend=backend)
    for low, reference in zip(found, low_pass(x.bfloat16().float(), (2, 4)), strict=True):
        assert low.dtype == torch.bfloat16
        torch.testing.assert_close(low.float(), reference, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize('backend', LOW_PASS)
def test_factors_in_any_order_and_maps_without_channels(backend):
    x = torch.randn(12, 20)
    falling, rising = (low_pass(x, f, backend=backend) for f in ((8, 2, 4), (2, 4, 8)))
    for low, same in zip(falling, (rising[2], rising[0], rising[1]), strict=True):
        assert low.shape == x.shape
        torch.testing.assert_close(low, same)


@pytest.mark.parametrize('backend', LOW_PASS)
@pytest.mark.parametrize('masks', ['exact', 'nearest'])
def test_sizes_that_were_never_seen_are_exported(backend, masks):
    class Filter(torch.nn.Module):
        def forward(self, x):
            return low_pass(x, (2, 4), masks, backend)

    _low_frequencies.cache_clear()
    x = torch.randn(1, 2, 18, 22)
    graph = torch.export.export(Filter(), (x,), strict=False).module()
    torch.testing.assert_close(graph(x), low_pass(x, (2, 4), masks))


def test_the_default_dtype_does_not_matter():
    _low_frequencies.cache_clear()
    expected = low_frequencies((64, 64), (2,), 'nearest')
    _low_frequencies.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        assert low_frequencies((64, 64), (2,), 'nearest') == expected
    finally:
        torch.set_default_dtype(torch.float32)
