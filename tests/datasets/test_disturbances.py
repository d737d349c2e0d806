"""Transforms that disturb images: what they do, and that they do the same twice."""

import numpy as np
import pytest

from mmfreq.datasets import Corrupt, RemoveBand

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


KINDS = (
    'gaussian_noise',
    'shot_noise',
    'impulse_noise',
    'motion_blur',
    'snow',
    'frost',
    'elastic_transform',
    'spatter',
    pytest.param('glass_blur', marks=pytest.mark.thorough),  # compiles for ten seconds
)


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_random_is_that_of_the_image_and_no_other_random_number_changes(kind):
    pytest.importorskip('imagecorruptions')
    corrupt = Corrupt(kind, severity=1)
    np.random.seed(3)
    first, again = (corrupt(dict(img=IMAGE.copy()))['img'] for _ in range(2))
    assert np.random.rand() == np.random.RandomState(3).rand()
    np.testing.assert_array_equal(first, again)
    assert (first != IMAGE).mean() > 0.01
    assert first.dtype == np.uint8 and first.flags['C_CONTIGUOUS']


def test_colours_are_corrupted_as_those_of_rgb():
    imagecorruptions = pytest.importorskip('imagecorruptions')
    found = Corrupt('saturate', 2)(dict(img=IMAGE.copy()))['img']
    rgb = np.ascontiguousarray(IMAGE[..., ::-1])
    expected = imagecorruptions.corrupt(rgb, 2, 'saturate')[..., ::-1]
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
        (lambda: RemoveBand(0.8, 0.9), 'low must be from 0 to below high'),
        (lambda: RemoveBand(0.3, 0.2), 'low must be from 0 to below high'),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
