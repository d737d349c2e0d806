"""Pictures, as a user asks for them."""

import cv2
import numpy as np
import pytest
from process import ADE, COCO, here, output, python, refusal

TOOLS = 'tools/visualization'


def is_picture(path):
    """Whether it is an image with something on it."""
    image = cv2.imread(str(path))
    return image is not None and min(image.shape[:2]) > 90 and image.std() > 10


@pytest.fixture(scope='module')
def images(mini_data):
    return sorted(mini_data.rglob('images/validation/*.jpg'))[:2]


@pytest.mark.parametrize(
    ('model', 'expected'),
    [
        (ADE, [f'filters_stages.{i}.png' for i in range(4)]),
        ('dfformer-s18', [*(f'filters_stages.{i}.png' for i in range(4)), 'gains_0.png']),
        ('configs/fpn_affnet_et_ade20k.py', [f'masks_stages.{i}.png' for i in range(1, 4)]),
        ('dsm-s', ['gains_0.png']),
        ('fdresnet-18', ['gains_0.png']),
    ],
)
def test_filters(model, expected, images, tmp_path):
    options = ('--images', *images, '--size', 64, '--channels', 1, '--out-dir', tmp_path)
    output = here(f'{TOOLS}/vis_filters.py', model, *options)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(expected)
    assert all(is_picture(path) and str(path) in output for path in tmp_path.iterdir())


@pytest.mark.thorough
def test_filters_of_a_training(segmentor, tmp_path):
    work_dir, _, _ = segmentor
    checkpoint = ('--checkpoint', work_dir / 'iter_2.pth')
    done = python(f'{TOOLS}/vis_filters.py', ADE, *checkpoint, '--out-dir', tmp_path)
    assert 'GFNet: loaded' in output(done)


def test_spectrum(images, tmp_path):
    models = ('gfnet-h-ti', 'convnext-t')
    here(
        *(f'{TOOLS}/vis_spectrum.py', *models, '--images', *images),
        *('--size', 64, '--out-dir', tmp_path),
    )
    for name in ('amplitude.png', 'receptive_field.png'):
        assert is_picture(tmp_path / name)


def test_browse(mini_data, tmp_path):
    for config, root in (
        (ADE, 'ADEChallengeData2016'),
        (COCO, 'coco'),
    ):
        folder = tmp_path / root
        python(
            *(f'{TOOLS}/browse_dataset.py', config, '--data-root', mini_data / root),
            *('--number', 2, '--out-dir', folder),
        )
        pictures = list(folder.iterdir())
        assert len(pictures) == 2
        for path in pictures:
            assert cv2.imread(str(path)).std() > 10


def test_curves(segmentor, tmp_path):
    work_dir, _, _ = segmentor
    out = tmp_path / 'c.png'
    command = (f'{TOOLS}/analyze_logs.py', work_dir, work_dir, '--out', out, '--keys')
    here(*command, 'loss', '.*mIoU')
    assert is_picture(out)
    assert 'no log has nothing; there are' in refusal(*command, 'nothing')
    assert f'{tmp_path} has no log' in refusal(f'{TOOLS}/analyze_logs.py', tmp_path)


def test_print_config():
    text = here(f'{TOOLS}/print_config.py', ADE, '--cfg-options', 'train_dataloader.batch_size=3')
    assert 'batch_size=3' in text and "type='mmfreq.GFNet'" in text
    assert '_base_' not in text


@pytest.mark.parametrize(
    'task', ['segmentor', pytest.param('detector', marks=pytest.mark.thorough)]
)
def test_confusion(task, request, tmp_path):
    work_dir, options, _ = request.getfixturevalue(task)
    config, checkpoint = (ADE, 'iter_2.pth') if task == 'segmentor' else (COCO, 'epoch_1.pth')
    out = tmp_path / 'confusion.png'
    python(
        *(f'{TOOLS}/confusion_matrix.py', config, work_dir / checkpoint, *options[:2]),
        *('--work-dir', tmp_path, '--out', out, '--score-thr', 0, '--cfg-options'),
        'test_dataloader.dataset.indices=2',
    )
    assert is_picture(out)
    counts = np.loadtxt(out.with_suffix('.csv'), delimiter=',', skiprows=1, dtype=int)
    assert counts.sum() > 0
    assert len(counts) == (150 if task == 'segmentor' else 81)


def test_wrong_input(images, tmp_path):
    (tmp_path / 'broken.jpg').write_bytes(images[0].read_bytes()[:200])
    (tmp_path / 'broken.pth').write_bytes(b'x')
    out = ('--out-dir', tmp_path / 'out')
    filters = (f'{TOOLS}/vis_filters.py', *out)
    spectrum = (f'{TOOLS}/vis_spectrum.py', *out)
    for command, message in (
        ((*filters, 'gfnet-hti'), 'did you mean gfnet-ti'),
        ((*filters, 'gfnet-h-ti', '--checkpoint', 'no.pth'), 'no.pth'),
        ((*filters, 'gfnet-h-ti', '--checkpoint', tmp_path / 'broken.pth'), 'broken.pth'),
        ((*filters, 'affnet-et'), 'has no filters that this tool knows; those of AFFNet'),
        ((*filters, 'affnet-et', '--images', tmp_path / 'broken.jpg'), 'is not a whole image'),
        ((*spectrum, 'affnet-et', '--images', 'no.jpg'), 'there is no image no.jpg'),
        (
            (*spectrum, 'affnet-et', '--images', images[0], '--checkpoints', 'a', 'b'),
            '--checkpoints needs 1 files, got 2',
        ),
        ((f'{TOOLS}/browse_dataset.py', ADE, '--data-root', 'nowhere'), 'nowhere'),
        ((f'{TOOLS}/print_config.py', 'no.py'), 'no.py'),
    ):
        assert message in refusal(*command)
    assert not (tmp_path / 'out').exists()
