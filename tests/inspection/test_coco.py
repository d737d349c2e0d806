"""COCO files with one fault each, and what is said and written about them."""

import json
import re

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope, init_default_scope
from PIL import Image
from process import here, refusal

from mmfreq.engine.run_configs import read_config
from mmfreq.inspection.coco import inspect_coco
from mmfreq.utils.config_files import read_model_config

TOOL = 'tools/inspect_data.py'
SIZE = (64, 48)


def content(first=0):
    images = [
        dict(id=i, file_name=f'{i}.jpg', width=SIZE[0], height=SIZE[1])
        for i in range(first, first + 5)
    ]
    annotations = [
        dict(
            id=i,
            image_id=i,
            category_id=(3, 9)[i % 2],
            bbox=[8, 8, 40, 36],
            area=1440,
            iscrowd=0,
            segmentation=[[8, 8, 48, 8, 48, 44, 8, 44]],
        )
        for i in range(first, first + 5)
    ]
    categories = [dict(id=3, name='cat'), dict(id=9, name='dog')]
    return dict(images=images, annotations=annotations, categories=categories)


@pytest.fixture
def folder(tmp_path):
    """Five images and an annotation file that names them."""
    (tmp_path / 'data/photos').mkdir(parents=True)
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'data/photos/{i}.jpg')
    write(tmp_path / 'data', content())
    return tmp_path / 'data'


def write(folder, given, name='all.json'):
    (folder / name).write_text(json.dumps(given))


def trained_on(path):
    cfg = read_config(str(path), None, None, None)
    init_default_scope(cfg.default_scope)
    import mmfreq.datasets  # noqa: F401

    try:
        return [DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'val')]
    finally:
        DefaultScope._instance_dict.clear()


def test_one_file(folder, tmp_path):
    options = ('--out', tmp_path / 'own.py', '--sheet', tmp_path / 'sheet.jpg')
    said = here(TOOL, folder / 'all.json', *options)
    assert 'proposed: 4 for training' in said and '2: cat 60.0 %, dog 40.0 %' in said
    assert '5, 5 with outlines, 0 crowd regions' in said
    assert 'category ids have gaps' in said and 'problems' not in said
    assert Image.open(tmp_path / 'sheet.jpg').size[0] == 996
    assert len((tmp_path / 'own.py').read_text().splitlines()) <= 15
    cfg = read_model_config(str(tmp_path / 'own.py'))
    assert cfg.model.roi_head.bbox_head.num_classes == cfg.model.roi_head.mask_head.num_classes == 2
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[-1].end == 100
    train, val = trained_on(tmp_path / 'own.py')
    assert (len(train), len(val)) == (4, 1) and train.metainfo['classes'] == ('cat', 'dog')
    assert train[1]['data_samples'].gt_instances.labels.tolist() == [1]
    assert cfg.val_evaluator.ann_file == str(tmp_path / 'own_val.json')


def test_two_files(folder, tmp_path):
    (folder / 'all.json').rename(folder / 'my_train.json')
    write(folder, content(), 'my_val.json')
    here(TOOL, folder / 'my_train.json', '--out', tmp_path / 'own.py', '--decoder', 'retinanet')
    assert not list(tmp_path.glob('*.json'))
    cfg = read_model_config(str(tmp_path / 'own.py'))
    assert cfg.val_evaluator.ann_file == str(folder / 'my_val.json')
    assert [len(data_set) for data_set in trained_on(tmp_path / 'own.py')] == [5, 5]


def changed(folder, change):
    given = content()
    change(given)
    write(folder, given)
    return inspect_coco(folder / 'all.json')


@pytest.mark.parametrize(
    ('change', 'message', 'kept'),
    [
        (lambda c: c['images'][1].update(file_name='gone.jpg'), 'are not in .*: gone.jpg', 4),
        (lambda c: c['images'][1].update(file_name='../x.jpg'), r'outside of .*: \.\./x\.jpg', 4),
        (lambda c: c['images'][1].update(file_name='/etc/hosts'), 'outside of .*: /etc/hosts', 4),
        (lambda c: c['images'][1].update(width=48), '1.jpg .is 64x48, said 48x48', 4),
        (lambda c: c['annotations'][1].update(image_id=77), 'images that are not listed', 5),
        (lambda c: c['annotations'][1].update(category_id=4), 'categories that do not exist', 5),
        (lambda c: c['annotations'][1].update(bbox=[1, 1, 0, 5]), 'no width or height', 5),
        (lambda c: c['annotations'][1].update(bbox='x'), 'no width or height', 5),
    ],
)
def test_entries_that_do_not_fit(folder, tmp_path, change, message, kept):
    data, report = changed(folder, change)
    assert len(report.problems) == 1
    assert re.search(message, report.problems[0])
    assert sum(len(split.kept) for split in data.splits.values()) == kept
    here(TOOL, folder / 'all.json', '--out', tmp_path / 'own.py')
    assert sum(len(data_set) for data_set in trained_on(tmp_path / 'own.py')) >= kept - 1


@pytest.mark.parametrize('orientation', [3, 6])
def test_images_that_are_turned(folder, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.open(folder / 'photos/2.jpg').save(folder / 'photos/2.jpg', exif=exif)
    data, report = inspect_coco(folder / 'all.json')
    assert '1 images that EXIF data turn away from their boxes: 2.jpg' in report.problems[0]
    assert sum(len(split.kept) for split in data.splits.values()) == 4


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c['categories'][1].update(name='cat'), 'categories have the same name: cat'),
        (lambda c: c['images'][1].update(id=0), 'have the same id'),
        (lambda c: c['annotations'].clear(), 'has no annotations'),
    ],
)
def test_files_that_nothing_can_be_trained_on(folder, change, message):
    _, report = changed(folder, change)
    assert any(message in obstacle for obstacle in report.obstacles)
    assert refusal(TOOL, folder / 'all.json').endswith('to be mended, see above')


def test_boxes_without_outlines(folder, tmp_path):
    changed(folder, lambda c: [a.pop('segmentation') for a in c['annotations']])
    refused = refusal(TOOL, folder / 'all.json', '--decoder', 'mask_rcnn')
    assert '1 to be mended' in refused
    here(TOOL, folder / 'all.json', '--out', tmp_path / 'own.py')
    assert 'retinanet' in (tmp_path / 'own.py').read_text()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{', 'is not JSON'),
        ('[' * 100_000, 'is not JSON'),
        ('[]', 'is no COCO file: it has no lists images, annotations, categories'),
        ('{"images": [], "annotations": [], "categories": []}', 'names no image'),
        (
            '{"images": [{"id": 1}], "annotations": [], "categories": []}',
            'images 0 has no file_name, width, height',
        ),
        (
            '{"images": [{"id": 1, "file_name": "q.jpg", "width": 1, "height": 1}],'
            '"annotations": [], "categories": []}',
            'none of the images',
        ),
    ],
)
def test_files_that_are_something_else(folder, text, message):
    (folder / 'all.json').write_text(text)
    said = refusal(TOOL, folder / 'all.json')
    assert said.startswith('error: ') and message in said


def test_a_validation_file_with_other_categories(folder):
    (folder / 'all.json').rename(folder / 'train.json')
    other = content()
    other['categories'].reverse()
    write(folder, other, 'val.json')
    _, report = inspect_coco(folder / 'train.json')
    assert 'other categories than' in report.obstacles[0]


def test_categories_with_the_same_id_and_boxes_outside(folder, tmp_path):
    given = content()
    given['annotations'][0]['bbox'] = [-50, -50, 10, 10]
    write(folder, given)
    said = here(TOOL, folder / 'all.json', '--out', tmp_path / 'own.py')
    assert '1 boxes are outside of their images' in said
    assert sum(len(part) for part in trained_on(tmp_path / 'own.py')) == 4
    given['categories'].append(dict(id=3, name='lion'))
    write(folder, given)
    assert '1 to be mended' in refusal(TOOL, folder / 'all.json', '--out', tmp_path / 'no.py')
    _, report = inspect_coco(folder / 'all.json')
    assert 'categories have the same id: 3; number them anew' in report.obstacles
    assert not (tmp_path / 'no.py').exists()


def test_annotations_that_a_training_cannot_read_are_left_out_or_completed(folder, tmp_path):
    given = content()
    given['annotations'][0]['bbox'] = [8, 8, 0, 36]
    del given['annotations'][1]['area']
    write(folder, given, 'train.json')
    write(folder, content(), 'val.json')
    here(TOOL, folder / 'train.json', '--out', tmp_path / 'own.py')
    train, val = trained_on(tmp_path / 'own.py')
    assert (len(train), len(val)) == (4, 5)
    given['images'][0]['width'] = None
    write(folder, given, 'train.json')
    assert 'width and height of images 0 must be numbers' in refusal(
        TOOL, folder / 'train.json', '--out', tmp_path / 'no.py'
    )
