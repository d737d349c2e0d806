"""Folders of images and masks with one fault each, and what is said and written about them."""

import re

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope, init_default_scope
from PIL import Image
from process import here, refusal

from mmfreq.engine.run_configs import read_config
from mmfreq.inspection.segmentation import inspect_segmentation
from mmfreq.utils.config_files import read_model_config

TOOL = 'tools/inspect_data.py'
WIDTH, HEIGHT = 64, 48


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def photo(size=(WIDTH, HEIGHT)):
    return np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)


def labels(*values, dtype=np.uint8):
    """A mask with a stripe for each value."""
    columns = np.array(values)[np.arange(WIDTH) * len(values) // WIDTH]
    return np.broadcast_to(columns, (HEIGHT, WIDTH)).astype(dtype)


@pytest.fixture
def folder(tmp_path):
    """Ten good pairs with the classes 0, 1 and 2, without a split."""
    for i in range(10):
        save(tmp_path / f'data/images/{i}.jpg', photo())
        save(tmp_path / f'data/masks/{i}.png', labels(0, 1, 2, 255))
    return tmp_path / 'data'


def replace_masks(folder, mask):
    for path in (folder / 'masks').iterdir():
        save(path, mask)


def trained_on(path):
    """Data sets of a written config, read as a training reads them."""
    cfg = read_config(str(path), None, None, None)
    init_default_scope(cfg.default_scope)
    import mmfreq.datasets  # noqa: F401

    try:
        for split in ('train', 'val', 'test'):
            yield DATASETS.build(cfg[f'{split}_dataloader'].dataset)
    finally:
        DefaultScope._instance_dict.clear()


def test_good_data(folder, tmp_path):
    said = here(TOOL, folder, '--out', tmp_path / 'own.py', '--sheet', tmp_path / 'sheet.png')
    assert '10 in ' in said and '64x48' in said and 'images .jpg, masks .png' in said
    assert '0 25.0 %, 1 25.0 %, 2 25.0 %, 255 25.0 %' in said
    assert 'problems' not in said and 'mended' not in said
    assert '0 is taken as the first class (25.0 % of the pixels)' in said
    assert Image.open(tmp_path / 'sheet.png').size[0] == 996
    assert len((tmp_path / 'own.py').read_text().splitlines()) <= 15
    cfg = read_model_config(str(tmp_path / 'own.py'))
    assert cfg.model.decode_head.num_classes == cfg.model.auxiliary_head.num_classes == 3
    assert cfg.model.backbone.img_size == cfg.model.data_preprocessor['size'] == (32, 32)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end == 2000
    train, val, _ = trained_on(tmp_path / 'own.py')
    assert (len(train), len(val)) == (8, 2)
    assert max(train[0]['inputs'].shape) <= 32  # small ones are padded later
    assert set(np.unique(train[0]['data_samples'].gt_sem_seg.data)) <= {0, 1, 2, 255}


def test_folders_of_a_split(folder, tmp_path):
    for kind in ('images', 'masks'):
        for part, names in (('train', range(6)), ('Validation', range(6, 9)), ('test', [9])):
            (folder / kind / part).mkdir()
            for i in names:
                ending = 'jpg' if kind == 'images' else 'png'
                (folder / kind / f'{i}.{ending}').rename(folder / kind / part / f'{i}.{ending}')
    said = here(TOOL, folder, '--out', tmp_path / 'own.py')
    assert 'as the folders say' in said
    assert [len(data_set) for data_set in trained_on(tmp_path / 'own.py')] == [6, 3, 1]
    assert not list(tmp_path.glob('*.txt'))


def test_names_that_do_not_match(folder, tmp_path):
    (folder / 'masks/3.png').unlink()
    (folder / 'images/4.jpg').unlink()
    save(folder / 'images/more.png', photo())
    (folder / 'images/clip.mp4').write_bytes(b'0')
    said = here(TOOL, folder, '--out', tmp_path / 'own.py')
    assert '1 images without a mask NAME.png: 3.jpg' in said
    assert '1 masks without an image NAME.jpg: 4.png' in said
    assert '1 images end otherwise than in .jpg: more.png' in said
    assert '1 videos, of which images must be made (ffmpeg): clip.mp4' in said
    assert [len(data_set) for data_set in trained_on(tmp_path / 'own.py')] == [7, 1, 1]


def test_masks_with_more_in_their_names_and_elsewhere(folder, tmp_path):
    for path in (folder / 'masks').iterdir():
        path.rename(path.with_name(f'{path.stem}_mask.png'))
    (folder / 'masks').rename(tmp_path / 'drawn')
    options = ('--masks', tmp_path / 'drawn', '--out', tmp_path / 'own.py', '--decoder', 'fpn')
    assert 'masks _mask.png' in here(TOOL, folder / 'images', *options)
    assert [len(data_set) for data_set in trained_on(tmp_path / 'own.py')] == [8, 2, 2]


@pytest.mark.parametrize(
    ('mask', 'said', 'count', 'values'),
    [
        (labels(0, 255), 'masks hold 0 and 255', 2, {0, 1}),
        (labels(0, 1000, 2000, dtype=np.uint16), 'masks have 16 bits', 3, {0, 1, 2}),
        (
            np.stack([labels(0, 128), labels(0, 64), labels(0, 0)], -1),
            'masks are colours (2 of them)',
            2,
            {0, 1},
        ),
        (np.stack([labels(0, 1, 2)] * 3, -1), 'masks are colours (3 of them)', 3, {0, 1, 2}),
    ],
    ids=['0 and 255', '16 bits', 'colours', 'grey in three channels'],
)
def test_masks_that_mmseg_does_not_read(folder, tmp_path, mask, said, count, values):
    replace_masks(folder, mask)
    refused = refusal(TOOL, folder, '--out', tmp_path / 'own.py')
    assert 'own.py is not written' in refused and not (tmp_path / 'own.py').exists()
    _, report = inspect_segmentation(folder, None, None)
    assert said in report.obstacles[0] and '--write-masks DIR' in report.obstacles[0]
    here(TOOL, folder, '--out', tmp_path / 'own.py', '--write-masks', tmp_path / 'new')
    cfg = read_model_config(str(tmp_path / 'own.py'))
    assert cfg.num_classes == count == len(cfg.classes)
    written = np.asarray(Image.open(tmp_path / 'new/0.png'))
    assert written.dtype == np.uint8 and set(np.unique(written)) == values
    train = next(trained_on(tmp_path / 'own.py'))
    assert set(np.unique(train[0]['data_samples'].gt_sem_seg.data)) <= values
    original = [np.asarray(Image.open(path)) for path in (folder / 'masks').iterdir()]
    assert all((found == mask).all() for found in original)  # nothing is changed there


def test_photographs_in_place_of_masks(folder):
    for path in (folder / 'masks').iterdir():
        save(path, photo())
    _, report = inspect_segmentation(folder, None, None)
    assert 'too many for classes' in report.obstacles[0]


def test_compressed_masks(folder):
    for path in (folder / 'masks').iterdir():
        path.unlink()
        save(path.with_suffix('.jpg'), labels(0, 1))
    _, report = inspect_segmentation(folder, None, None)
    assert 'masks end in .jpg' in report.obstacles[0] and 'PNG' in report.obstacles[0]


def test_names_of_classes_tell_whether_zero_is_one(folder, tmp_path):
    (folder / 'classes.txt').write_text('road\ntree\n')
    here(TOOL, folder, '--out', tmp_path / 'own.py')
    cfg = read_model_config(str(tmp_path / 'own.py'))
    assert cfg.classes == ('road', 'tree') and cfg.train_dataloader.dataset.reduce_zero_label
    (folder / 'classes.txt').write_text('road\ntree\nsky')
    here(TOOL, folder, '--out', tmp_path / 'own.py')
    cfg = read_model_config(str(tmp_path / 'own.py'))
    assert cfg.classes == ('road', 'tree', 'sky')
    assert not cfg.train_dataloader.dataset.reduce_zero_label
    (folder / 'classes.txt').write_text('a\nb\nc\nd\ne')
    _, report = inspect_segmentation(folder, None, None)
    assert 'has 5 names, the masks 3 classes' in report.problems[0]


def test_palette_of_the_masks(folder, tmp_path):
    for path in (folder / 'masks').iterdir():
        image = Image.fromarray(labels(0, 1, 2), 'P')
        image.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0])
        image.save(path)
    data, _ = inspect_segmentation(folder, None, None)
    assert data.palette == [(10, 20, 30), (200, 0, 0), (0, 200, 0)]


@pytest.mark.parametrize('orientation', [3, 6])
def test_images_that_are_turned(folder, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    save(folder / 'images/2.jpg', photo(), exif=exif)
    data, report = inspect_segmentation(folder, None, None)
    assert '1 images that EXIF data turn away from their masks' in report.problems[0]
    assert 'exiftool -Orientation=' in report.problems[0]
    names = data.splits['train'].names + data.splits['val'].names
    assert sorted(names) == [str(i) for i in range(10) if i != 2]


def test_masks_that_are_drawn_on_the_turned_image(folder):
    exif = Image.Exif()
    exif[274] = 6
    save(folder / 'images/2.jpg', photo((HEIGHT, WIDTH)), exif=exif)  # shown as 64x48
    _, report = inspect_segmentation(folder, None, None)
    assert not report.problems


def test_files_that_cannot_be_read(folder):
    (folder / 'images/1.jpg').write_bytes(b'')
    whole = (folder / 'images/2.jpg').read_bytes()
    (folder / 'images/2.jpg').write_bytes(whole[: len(whole) // 2])
    save(folder / 'masks/5.png', labels(0, 1)[:10])
    _, report = inspect_segmentation(folder, None, None)
    assert '2 files that cannot be read' in report.problems[0]
    assert '1.jpg is empty (0 bytes)' in report.problems[0] and '2.jpg is dam' in report.problems[0]
    assert '5.jpg (64x48, mask 64x10)' in report.problems[1]


def test_an_image_of_too_many_pixels(folder, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    _, report = inspect_segmentation(folder, None, None)
    assert '10 files that cannot be read' in report.problems[0] and 'refused' in report.problems[0]
    assert report.obstacles


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        ([], 'has no image'),
        (['a.mp4'], 'but videos; make images of them first: ffmpeg'),
        (['photos/a.jpg', 'drawn/a.png'], 'name the folder of the masks with --masks'),
        (['images/a.jpg', 'masks/b.png'], 'no mask in .* is called as an image'),
        (['images/a.txt', 'masks/b.png'], 'has no image'),
        (['a.jpg', 'annotations.json'], 'if .*annotations.json is a COCO file, inspect that'),
    ],
)
def test_folders_that_are_something_else(tmp_path, files, message):
    for name in files:
        path = tmp_path / name
        if path.suffix in ('.jpg', '.png'):
            save(path, photo())
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{}')
    with pytest.raises(FileNotFoundError, match=message):
        inspect_segmentation(tmp_path, None, None)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['/nowhere'], 'there is no folder /nowhere'),
        (['FOLDER', '--decoder', 'upernett'], 'did you mean .*upernet_gfnet_h_s_ade20k'),
        (['FOLDER', '--backbone', 'gfnet-h-xl'], 'there is no config upernet_gfnet_h_xl_ade20k'),
        (['FOLDER', '--out', 'own.txt'], r'a config is a file NAME\.py'),
        (['FOLDER/images/1.jpg'], 'neither a folder nor a COCO file'),
        (['FOLDER', '--masks', '/nowhere'], 'there is no folder /nowhere'),
    ],
)
def test_options(folder, options, message):
    said = refusal(TOOL, *(option.replace('FOLDER', str(folder)) for option in options))
    assert said.count('error: ') == 1 and re.search(message, said)


def test_nothing_but_lists_is_written_beside_the_config(folder, tmp_path):
    here(TOOL, folder, '--out', tmp_path / 'out/own.py')
    written = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert written == ['own.py', 'own_train.txt', 'own_val.txt']
    assert (tmp_path / 'out/own_val.txt').read_text() == '4\n9\n'
