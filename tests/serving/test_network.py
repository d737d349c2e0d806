"""What the page asks of a network, and how it shows the answers."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

import mmfreq
from mmfreq.analysis.spectra.filters import Spectrum
from mmfreq.analysis.spectra.stages import (
    filters_of_stages,
    gain_by_frequency,
    mean_amplitude,
    spectra_of_stages,
)
from mmfreq.datasets.bands import HIGHEST, distances, remove_band
from mmfreq.inference import Classification, Detection, Segmentation
from mmfreq.models import GFNet
from mmfreq.serving.answers import change, overlay, table
from mmfreq.serving.page import Answers
from mmfreq.utils.errors import DataError

PALETTE = [(200, 0, 0), (0, 0, 200)]
CLASSES = ('wall <crack>', 'rust')


@pytest.mark.parametrize('size', [(24, 32), (15, 21)])
def test_a_band_is_removed_and_nothing_else(size):
    image = torch.rand(*size, 3).double().numpy() * 255
    low, high = 0.15, 0.3
    kept, before = (np.fft.fft2(x, axes=(0, 1)) for x in (remove_band(image, low, high), image))
    rows, columns = (np.fft.fftfreq(side) for side in size)
    radius = np.hypot(rows[:, None], columns)
    inside = (radius >= low) & (radius <= high)
    assert np.abs(kept[inside]).max() < 0.1
    np.testing.assert_allclose(kept[~inside], before[~inside], atol=0.1)
    np.testing.assert_allclose(distances(size), radius[:, : size[1] // 2 + 1], atol=1e-6)


def test_bands_at_the_ends():
    image = np.random.default_rng(0).integers(0, 255, (16, 20, 3), np.uint8)
    mean = np.broadcast_to(image.mean((0, 1)).round(), image.shape)
    np.testing.assert_array_equal(remove_band(image, 0, HIGHEST + 0.01), mean)
    np.testing.assert_array_equal(remove_band(image, 0.31234, 0.31235), image)
    bright = np.zeros((16, 20, 1), np.uint8)
    bright[8, 10] = 255
    assert remove_band(bright, 0.2, 0.8).dtype == np.uint8  # clipped, not wrapped around


def test_spectra_of_stages_are_those_of_the_maps():
    network = GFNet(arch='h-ti', img_size=64, out_norm=None).eval()
    images = torch.randn(1, 3, 64, 64)
    found = spectra_of_stages(network, images)
    with torch.no_grad():
        maps = [images, *network(images)]
    assert [s.name.split('\n')[0] for s in found] == ['input', *(f'stage {i}' for i in range(4))]
    assert found[1].name.endswith('16 x 16, 64 channels')
    for spectrum, x in zip(found, maps, strict=True):
        expected = np.abs(np.fft.fft2(x.double().numpy(), norm='ortho')).mean(1)
        expected = np.fft.fftshift(expected, axes=(-2, -1))
        np.testing.assert_allclose(spectrum.values, expected, rtol=1e-3, atol=1e-4)


def test_backbones_without_stages_are_taken_by_their_outputs():
    network = torch.nn.Conv2d(3, 5, 3, stride=2)
    found = spectra_of_stages(network, torch.randn(1, 3, 16, 16))
    assert [s.name for s in found] == ['input\n16 x 16, 3 channels', 'output 0\n7 x 7, 5 channels']


def test_gain_by_frequency():
    rows = columns = torch.arange(-8, 8) / 16
    radius = torch.hypot(rows[:, None], columns)
    low_pass = Spectrum('a', (radius < 0.2).float(), rows, columns)
    frequencies, gains = gain_by_frequency(low_pass)
    assert gains[frequencies < 0.17].eq(1).all() and gains[frequencies > 0.23].eq(0).all()
    assert len(frequencies) == 9 and frequencies[-1] == 0.5
    flat = mean_amplitude('b', torch.zeros(1, 2, 8, 12).index_fill(3, torch.tensor([0]), 1.0))
    assert flat.values.shape == (1, 8, 12)


def test_filters_of_stages():
    network = GFNet(arch='h-ti', img_size=64)
    stages = filters_of_stages(network, torch.randn(1, 3, 64, 64))
    assert list(stages) == [f'stages.{i}' for i in range(4)]
    assert [len(layers) for layers in stages.values()] == list(network.depths)
    weight = torch.view_as_complex(network.stages[0].blocks[0].token_mixer.weight.detach())
    shown = stages['stages.0'][0].values  # inner columns are stored as they are
    np.testing.assert_allclose(shown[:, 9], weight[..., 1].abs().mean(0).roll(8), rtol=1e-4)
    assert filters_of_stages(torch.nn.Conv2d(3, 4, 1), torch.randn(1, 3, 8, 8)) == {}


def test_looking_at_an_image(segmentor, photo):
    seen = segmentor.look(str(photo))
    (expected,) = mmfreq.predict(segmentor.predictor.model, photo)
    np.testing.assert_array_equal(seen.prediction.label_map, expected.label_map)
    assert seen.batch.shape == (1, 3, 64, 64)  # the windows of the config
    assert [image.ndim for image in segmentor.spectra(seen)] == [3, 3]
    assert [image.dtype for image in segmentor.filters(seen)] == [np.uint8]
    same = segmentor.without_band(seen, 0.70711, 0.71)
    np.testing.assert_array_equal(same.pixels, seen.pixels)
    flat = segmentor.without_band(seen, 0, 0.71)
    assert (flat.pixels == flat.pixels[0, 0]).all()


def test_images_of_every_kind(segmentor, photo, tmp_path):
    image = Image.open(photo)
    image.convert('CMYK').save(tmp_path / 'cmyk.jpg')
    image.convert('RGBA').save(tmp_path / 'rgba.png')
    deep = np.asarray(image)[..., 0].astype(np.uint16) * 16
    Image.fromarray(deep).save(tmp_path / 'deep.png')
    turned = image.getexif()
    turned[274] = 6
    image.save(tmp_path / 'turned.jpg', exif=turned)
    for path in sorted(tmp_path.iterdir()):
        seen = segmentor.look(str(path))
        (expected,) = mmfreq.predict(segmentor.predictor.model, path)
        np.testing.assert_array_equal(seen.prediction.label_map, expected.label_map)
    assert seen.prediction.image.shape == (96, 72, 3)  # the turned one


def test_broken_images_are_named_without_their_folder(segmentor, photo, tmp_path):
    (tmp_path / 'text.png').write_text('no image')
    (tmp_path / 'empty.png').touch()
    (tmp_path / 'cut.png').write_bytes(photo.read_bytes()[:900])
    for path in tmp_path.iterdir():
        with pytest.raises(DataError, match=f'^{path.name} ') as error:
            segmentor.look(str(path))
        assert str(tmp_path) not in str(error.value)


def test_enormous_images_are_refused(segmentor, tmp_path, monkeypatch):
    Image.new('L', (400, 400)).save(tmp_path / 'large.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with pytest.raises(DataError, match=r'large\.png is refused'):
        segmentor.look(str(tmp_path / 'large.png'))


def test_answers(segmentor, photo, tmp_path):
    answers = Answers(segmentor)
    seen, problem, picture, found = answers.look(str(photo), 0.5)
    assert problem == '' and picture.shape == (72, 96, 3)
    assert next(iter(seen.prediction.shares())) in found
    after, _, again, words = answers.filter(seen, 0.05, 0.71, 0.5)
    assert again.shape == (72, 96, 3)
    share = (after.prediction.label_map != seen.prediction.label_map).mean()
    image, _, other, same = answers.redraw(seen, after, 0.0)
    np.testing.assert_array_equal(image, seen.prediction.image)
    np.testing.assert_array_equal(other, after.prediction.image)
    assert same == words
    assert f'<b>{share:.1%}</b> of the pixels' in words
    assert 'nothing is between them' in answers.filter(seen, 0.5, 0.4, 0.5)[3]
    assert answers.filter(None, 0, 1, 0.5) == (None, None, None, '')
    assert answers.look(None, 0.5) == (None, '', None, '')
    assert [update['visible'] for update in answers.spectra(seen)] == [True, True]
    text, first, second = answers.filters(seen)
    assert 'this network has learned' in text
    assert (first['visible'], second['visible']) == (True, False)
    path = tmp_path / '<b>.png'
    path.write_text('no image')
    seen, problem, *rest = answers.look(str(path), 0.5)
    assert seen is None and rest == [None, ''] and '&lt;b&gt;.png' in problem


def test_networks_without_filters_say_so(segmentor, photo, monkeypatch):
    seen = segmentor.look(str(photo))
    monkeypatch.setattr(segmentor, 'backbone', torch.nn.Conv2d(3, 4, 1))
    text, *figures = Answers(segmentor).filters(seen)
    assert text.startswith('**Conv2d has no learned filters in the frequency domain.**')
    assert not any(update['visible'] for update in figures)
    assert len(segmentor.spectra(seen)) == 1  # without blocks no curves


def common(size=(40, 60)):
    return 'a', '', np.full((*size, 3), 100, np.uint8), CLASSES, PALETTE


def test_segmentations():
    labels = np.zeros((40, 60), np.int64)
    before = Segmentation(*common(), labels)
    labels = labels.copy()
    labels[:10] = 1
    after = Segmentation(*common(), labels)
    assert '<b>25.0%</b> of the pixels change their class' in change(before, after, 0.5)
    text = table(after, 0.5)
    assert 'wall &lt;crack&gt;' in text and '75.0%' in text and 'rgb(0, 0, 200)' in text
    large = Segmentation(*common((2000, 3200)), np.ones((2000, 3200), np.int64))
    picture = overlay(large, 1.0)
    assert picture.shape == (1000, 1600, 3) and (picture == (0, 0, 200)).all()


def detection(boxes, labels, scores):
    numbers = (np.array(boxes, np.float32).reshape(-1, 4), np.array(labels), np.array(scores))
    return Detection(*common(), *numbers)


def test_detections():
    before = detection([[0, 0, 20, 20], [30, 0, 50, 20], [0, 0, 9, 9]], [0, 1, 1], [0.9, 0.8, 0.1])
    after = detection([[1, 0, 21, 20], [30, 0, 50, 20]], [0, 0], [0.9, 0.5])
    assert '<b>1 of 2</b> boxes are found again' in change(before, after, 0.3)
    assert '1 are new' in change(before, after, 0.3)
    assert table(before, 0.3).count('<td><i') == 2 and 'rust, (30, 0) to (50, 20)' in table(
        before, 0.3
    )
    assert 'No box has a score of at least 0.95' in table(before, 0.95)
    assert (overlay(before, 0.3) != overlay(before, 0.95)).any()
    assert before.threshold == 0.3  # as it was


def test_classifications():
    before, after = (
        Classification(*common(), np.array(scores)) for scores in ([0.8, 0.2], [0.4, 0.6])
    )
    assert re.search(
        'rust</b> is now the best class; .* from 0.800 to 0.400', change(before, after, 0)
    )
    assert 'stays the best class' in change(before, before, 0)
    assert '0.800' in table(before, 0)
    np.testing.assert_array_equal(overlay(before, 0), before.image)
