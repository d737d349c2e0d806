"""Transforms that disturb images: what they do, and that they do the same twice."""

import numpy as np
import pytest

from mmfreq.datasets import Corrupt, RemoveBand

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def test_noise_is_that_of_the_image_and_no_other_random_number_changes():
    pytest.importorskip('imagecorruptions')
    noise = Corrupt('gaussian_noise', severity=1)
    np.random.seed(3)
    first, again, other = (
        noise(dict(img=IMAGE.copy(), img_path=path))['img'] for path in ('a', 'a', 'b')
    )
    assert np.random.rand() == np.random.RandomState(3).rand()
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5
    assert first.dtype == np.uint8 and first.flags['C_CONTIGUOUS']
    assert 5 < np.abs(first.astype(float) - IMAGE).mean() < 40


def test_colours_are_corrupted_as_those_of_rgb():
    imagecorruptions = pytest.importorskip('imagecorruptions')
    found = Corrupt('saturate', 2)(dict(img=IMAGE.copy()))['img']
    expected = imagecorruptions.corrupt(IMAGE[..., ::-1].copy(), 2, 'saturate')[..., ::-1]
    np.testing.assert_array_equal(found, expected)


def test_without_high_frequencies_neighbours_are_alike():
    smooth = RemoveBand(low=0.1)(dict(img=IMAGE.copy()))['img']
    assert smooth.dtype == np.uint8 and smooth.shape == IMAGE.shape
    steps = [np.abs(np.diff(image.astype(float), axis=1)).mean() for image in (smooth, IMAGE)]
    assert steps[0] < 0.3 * steps[1]


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: Corrupt('blurr'), 'corruption must be one of'),
        (lambda: Corrupt('fog', 6), 'severity must be between 1 and 5'),
        (lambda: RemoveBand(0.3, 0.2), 'low must be between 0 and high'),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
