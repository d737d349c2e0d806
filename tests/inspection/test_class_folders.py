"""Folders of classes with one fault each, and what is said and written about them."""

import re

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope, init_default_scope
from PIL import Image
from process import here, refusal

from mmfreq.engine.run_configs import read_config
from mmfreq.inspection.class_folders import find_class_folders, inspect_class_folders
from mmfreq.utils.config_files import read_model_config

TOOL = 'tools/inspect_data.py'
CLASSES = ('ape', 'bee', 'cow')
SIZE = (72, 60)


def save(path, seed=None):
    """An image that no other one is equal to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = hash(str(path)) % 2**32 if seed is None else seed
    pixels = np.random.default_rng(seed).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def unsplit(tmp_path):
    """Three classes of ten images each."""
    for name in CLASSES:
        for i in range(10):
            save(tmp_path / f'data/{name}/{i} of {name}.jpg')
    return tmp_path / 'data'


@pytest.fixture
def split(tmp_path):
    """Three classes of ten images for training and four for validation."""
    for name in CLASSES:
        for i in range(14):
            save(tmp_path / f'data/{"Training" if i < 10 else "valid"}/{name}/{i}.jpg')
    return tmp_path / 'data'


def look(folder):
    found = find_class_folders(folder)
    assert found is not None
    return inspect_class_folders(found)


def written(folder, tmp_path, *options):
    """What is said, the config, and the data sets of a training with it."""
    path = tmp_path / 'own.py'
    said = here(TOOL, folder, '--out', path, '--backbone', 'affnet-et', *options)
    assert len(path.read_text().splitlines()) <= 15
    cfg = read_config(str(path), None, None, None)
    init_default_scope(cfg.default_scope)
    try:
        sets = [DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'val')]
    finally:
        DefaultScope._instance_dict.clear()
    return said, read_model_config(str(path)), *sets


def pairs_of(dataset):
    """Name of the class that the folder says, and the one that the data set says."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {
        (re.split(r'[/\\]', info['img_path'])[-2], dataset.metainfo['classes'][info['gt_label']])
        for info in infos
    }


SAME = {(name, name) for name in CLASSES}


def test_folders_of_a_split(split, tmp_path):
    said, cfg, train, val = written(split, tmp_path, '--sheet', tmp_path / 'sheet.jpg')
    assert '3: ape 33.3 %, bee 33.3 %, cow 33.3 %' in said and 'problems' not in said
    assert 'whoever always says' in said
    assert (len(train), len(val)) == (30, 12) and pairs_of(train) == pairs_of(val) == SAME
    assert cfg.model.head.num_classes == 3 and cfg.train_cfg.max_epochs == 100
    assert (cfg.crop_size, cfg.batch_size) == ((64, 64), 16)
    assert sorted(path.name for path in tmp_path.glob('own*')) == ['own.py']
    assert Image.open(tmp_path / 'sheet.jpg').width == 3 * 252 + 12


def test_a_proposed_split(unsplit, tmp_path):
    said, _, train, val = written(unsplit, tmp_path)
    assert 'proposed: 24 for training, every fifth of a class' in said
    assert (len(train), len(val)) == (24, 6) and pairs_of(train) == pairs_of(val) == SAME
    assert not {train.get_data_info(i)['img_path'] for i in range(24)} & {
        val.get_data_info(i)['img_path'] for i in range(6)
    }


def test_a_class_without_validation_images_keeps_the_numbers_of_the_others(split, tmp_path):
    """mmpretrain numbers the folders that it finds."""
    for path in (split / 'valid/ape').iterdir():
        path.unlink()
    (split / 'valid/ape').rmdir()
    said, _, _, val = written(split, tmp_path)
    assert '1 classes have no image in val: ape' in said
    assert len(val) == 8 and pairs_of(val) == SAME - {('ape', 'ape')}


def test_folders_without_images_are_no_classes(split, tmp_path):
    (split / 'Training/ant').mkdir()
    said, cfg, train, _ = written(split, tmp_path)
    assert "1 folders of train have no image: 'ant'" in said
    assert cfg.classes == CLASSES and pairs_of(train) == SAME


def test_classes_of_the_validation_only(split, tmp_path):
    save(split / 'valid/ant/1.jpg')
    said, _, _, val = written(split, tmp_path)
    assert '1 classes of val only: ant' in said and len(val) == 12 and pairs_of(val) == SAME


def test_files_that_cannot_be_read_or_are_found_by_a_list_only(split, tmp_path):
    (split / 'Training/ape/0.jpg').write_bytes(b'')
    (split / 'Training/ape/1.jpg').write_bytes((split / 'Training/ape/2.jpg').read_bytes()[:900])
    save(split / 'Training/bee/more.webp')
    save(split / 'Training/lost.jpg')
    said, _, train, _ = written(split, tmp_path)
    assert re.search(r'2 images of train cannot be read: .*0\.jpg is empty', said)
    assert '1 images of train are in the folder of no class: lost.jpg' in said
    assert len(train) == 29 and pairs_of(train) == SAME
    assert any(train.get_data_info(i)['img_path'].endswith('more.webp') for i in range(29))


def test_images_of_both_splits(split, tmp_path):
    (split / 'valid/cow/12.jpg').write_bytes((split / 'Training/cow/3.jpg').read_bytes())
    said, _, _, val = written(split, tmp_path)
    assert '1 images of val are among those of train, too: cow/12.jpg' in said and len(val) == 11


def test_few_images_and_one_class(unsplit):
    for name in ('bee', 'cow'):
        for path in sorted((unsplit / name).iterdir())[:7]:
            path.unlink()
    _, report = look(unsplit)
    assert '2 classes have less than 10 images: bee (3), cow (3)' in report.notes
    for name in ('train', 'val'):
        save(unsplit.parent / f'one/{name}/ape/1.jpg')
    _, report = look(unsplit.parent / 'one')
    assert 'a classifier needs two classes at least' in report.obstacles


@pytest.mark.parametrize(
    'files',
    [
        ['images/1.jpg', 'masks/1.png'],
        ['train/images/1.jpg', 'train/masks/1.png'],
        ['train2017/1.jpg', 'val2017/2.jpg', 'annotations/instances_train2017.json'],
        ['1.jpg'],
        ['ape/1.jpg'],
        [],
    ],
)
def test_other_folders_are_no_classes(tmp_path, files):
    for name in files:
        if name.endswith('json'):
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).write_text('{}')
        else:
            save(tmp_path / name)
    assert find_class_folders(tmp_path) is None


def test_options(split):
    said = refusal(TOOL, split, '--decoder', 'fpn')
    assert 'a folder for each class' in said
    assert 'there is no config gfnet_xl_in1k' in refusal(TOOL, split, '--backbone', 'gfnet-xl')


def test_two_classes_whose_images_have_the_same_names(tmp_path):
    for name in ('cat', 'dog'):
        for i in range(3):
            save(tmp_path / f'{name}/{i}.png')
    assert find_class_folders(tmp_path) == {'all': tmp_path}


@pytest.mark.parametrize('mask', ['0.png', '0_mask.png', 'other.png'])
def test_images_and_masks_are_not_two_classes(tmp_path, mask):
    for i in range(3):
        save(tmp_path / f'photos/{i}.jpg')
    (tmp_path / 'drawn').mkdir()
    labels = np.arange(60 * 72).reshape(60, 72) // 1000
    Image.fromarray(labels.astype(np.uint8)).save(tmp_path / 'drawn' / mask)
    assert find_class_folders(tmp_path) is None


def test_links_are_followed_and_circles_are_not(split, tmp_path):
    (split / 'Training/cow').rename(tmp_path / 'elsewhere')
    (split / 'Training/cow').symlink_to(tmp_path / 'elsewhere')
    (split / 'Training/bee/again').symlink_to(split / 'Training/bee')
    said, _, train, _ = written(split, tmp_path)
    assert 'problems' not in said and len(train) >= 30 and pairs_of(train) >= SAME


def test_hidden_folders_are_no_classes(split, tmp_path):
    save(split / 'Training/.ipynb_checkpoints/1.jpg')
    save(split / 'Training/cow/.ipynb_checkpoints/1.jpg')
    said, cfg, train, _ = written(split, tmp_path)
    assert cfg.classes == CLASSES and len(train) == 30 and 'problems' not in said


@pytest.mark.parametrize('name', [' lead', 'two\nlines', 'bell\a'])
def test_names_that_a_list_cannot_hold_are_left_out(split, tmp_path, name):
    save(split / 'Training' / name / '1.jpg')
    said, cfg, train, _ = written(split, tmp_path)
    assert (
        '1 images of train have names that a list cannot hold' in said
        and repr(f'{name}/1.jpg') in said
    )
    assert cfg.classes == CLASSES and pairs_of(train) == SAME


@pytest.mark.parametrize('name', ["it's", 'a "b"', '{[(', '{ {'])
def test_names_are_data_for_mmengine(split, tmp_path, name):
    for part in ('Training', 'valid'):
        for i in range(3):
            save(split / part / name / f'{i}.jpg')
    _, cfg, train, val = written(split, tmp_path)
    assert cfg.classes == tuple(sorted([*CLASSES, name]))
    assert pairs_of(train) == pairs_of(val) == {*SAME, (name, name)}


@pytest.mark.parametrize('name', ['{{$HOME:x}}', '{{ fileBasename }}'])
def test_names_that_mmengine_would_replace_are_refused(split, tmp_path, name):
    for part in ('Training', 'valid'):
        save(split / part / name / '1.webp')
    assert 'two braces, {{, which MMEngine takes' in refusal(
        TOOL, split, '--out', tmp_path / 'a.py'
    )
    assert not list(tmp_path.glob('a*'))  # no list either
