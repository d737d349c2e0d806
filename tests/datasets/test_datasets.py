"""Damaged files end in errors that name them."""

import json
import shutil

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope, init_default_scope

from mmfreq.datasets import CheckSegMap
from mmfreq.datasets.coco import check_categories, check_classes
from mmfreq.utils.named_errors import NamedPipeline, name_errors


@pytest.fixture(params=['mmseg', 'mmdet'])
def dataset(request, mini_data, tmp_path):
    """A function that builds the training set on a copy of the data that tests may damage."""
    scope = request.param
    name, folder = {
        'mmseg': ('upernet_gfnet_h_ti_ade20k', 'ADEChallengeData2016'),
        'mmdet': ('mask_rcnn_gfnet_h_ti_coco', 'coco'),
    }[scope]
    root = tmp_path / 'data'
    shutil.copytree(mini_data / folder, root)
    cfg = Config.fromfile(f'configs/{name}.py').train_dataloader.dataset
    cfg.data_root = str(root)
    init_default_scope(scope)
    yield root, lambda: DATASETS.build(cfg)
    DefaultScope._instance_dict.clear()


def first_image(root):
    folder = 'images/training' if (root / 'images').exists() else 'train2017'
    return root / folder / '000001.jpg'


def test_samples(dataset):
    _, build = dataset
    data = build()
    assert len(data) == 8
    assert data[0]['inputs'].shape[0] == 3


@pytest.mark.parametrize('content', [b'', b'no image', None], ids=['empty', 'text', 'truncated'])
def test_damaged_image(dataset, content):
    root, build = dataset
    path = first_image(root)
    path.write_bytes(path.read_bytes()[:100] if content is None else content)
    with pytest.raises(ValueError, match=r'000001\.jpg.*check that the files are complete'):
        build()[0]


@pytest.mark.parametrize('dataset', ['mmseg'], indirect=True)
@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (np.full((96, 128), 151), 'has class id 151, the highest one allowed is 150'),
        (np.full((96, 128), 200), 'has class id 200'),
        (np.full((48, 64), 3), r'\(48, 64\) pixels.*000001\.jpg \(96, 128\)'),
    ],
)
def test_wrong_label_map(dataset, labels, message):
    root, build = dataset
    cv2.imwrite(str(root / 'annotations/training/000001.png'), labels.astype(np.uint8))
    with pytest.raises(ValueError, match=r'000001\.png.*' + message):
        build()[0]


@pytest.mark.parametrize('dataset', ['mmseg'], indirect=True)
def test_every_valid_label_passes(dataset):
    root, build = dataset
    labels = np.resize(np.r_[np.arange(151), 255], (96, 128)).astype(np.uint8)
    cv2.imwrite(str(root / 'annotations/training/000001.png'), labels)
    build()[0]


@pytest.mark.parametrize('dataset', ['mmdet'], indirect=True)
@pytest.mark.parametrize(
    'content', ['not JSON', '', '[1, 2]', '{"images": []}', '{"images": [{}]}']
)
def test_wrong_annotation_file(dataset, content):
    root, build = dataset
    (root / 'annotations/instances_train2017.json').write_text(content)
    with pytest.raises(
        ValueError, match=r'instances_train2017\.json does not hold COCO annotations'
    ):
        build()


def test_colour_label_map_is_refused():
    results = dict(gt_seg_map=np.zeros((4, 4, 3)), seg_map_path='a.png', img_shape=(4, 4))
    with pytest.raises(ValueError, match=r'a\.png.*one channel'):
        CheckSegMap(num_classes=150)(results)


@pytest.mark.parametrize('dataset', ['mmseg'], indirect=True)
@pytest.mark.parametrize('label', [256, 259, 300, 65535])
def test_label_maps_with_more_than_eight_bits_are_not_cut_off(dataset, label):
    """mmseg reads them modulo 256: 259 as 3."""
    root, build = dataset
    labels = np.full((96, 128), 2, np.uint16)
    path = str(root / 'annotations/training/000001.png')
    cv2.imwrite(path, labels)
    build()[0]
    labels[5, 5] = label
    cv2.imwrite(path, labels)
    with pytest.raises(ValueError, match=rf'000001\.png has class id {label}, the highest.* 150'):
        build()[0]


@pytest.fixture
def segments(tmp_path):
    """Own data: images in one folder and label maps of three classes in another."""
    for i in range(4):
        for folder, name in (('images', f'{i}.JPG'), ('labels', f'{i}.png')):
            (tmp_path / folder).mkdir(exist_ok=True)
            content = np.full((32, 48, 3), 40 * i) if folder == 'images' else np.full((32, 48), i)
            cv2.imwrite(str(tmp_path / folder / name), content.astype(np.uint8))

    def build(kind='mmfreq.BaseSegDataset', **kwargs):
        init_default_scope('mmseg')
        cfg = dict(
            type=kind,
            data_root=str(tmp_path),
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            metainfo=dict(classes=('a', 'b', 'c')),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='mmfreq.CheckSegMap'),
                dict(type='PackSegInputs'),
            ],
        )
        return DATASETS.build({**cfg, **kwargs})

    yield build
    DefaultScope._instance_dict.clear()


def test_images_with_another_ending_are_listed(segments):
    with pytest.raises(ValueError, match=r"ends in '\.jpg'.*4 of \.JPG.*img_suffix.*data_prefix"):
        segments()
    with pytest.raises(ValueError, match=r"ends in '\.JPG' in .*labels, which holds 4 of \.png"):
        segments(img_suffix='.JPG', data_prefix=dict(img_path='labels', seg_map_path='labels'))


@pytest.mark.parametrize('kind', ['mmfreq.BaseSegDataset', 'BaseSegDataset'])
def test_labels_are_checked_against_the_classes_of_the_data_set(segments, kind):
    dataset = segments(kind, img_suffix='.JPG')
    name_errors(dataset)  # as the tools do it for data sets of other libraries
    dataset[2]
    with pytest.raises(ValueError, match=r'3\.png has class id 3, the highest one allowed is 2'):
        dataset[3]


def test_number_of_classes_that_nobody_says(segments):
    with pytest.raises(ValueError, match='number of classes is not known: set metainfo'):
        segments(img_suffix='.JPG', metainfo=None)[0]


def test_a_sample_without_label_map_passes():
    results = dict(img=np.zeros((4, 4, 3)), img_path='a.jpg')
    assert CheckSegMap()(results) is results


def coco_file(root, names, file_name='train2017/000001.jpg'):
    content = dict(
        images=[dict(id=1, file_name=file_name, width=128, height=96)],
        annotations=[
            dict(id=1, image_id=1, category_id=5, bbox=[5, 5, 30, 30], area=900, iscrowd=0)
        ],
        categories=[dict(id=4 + i, name=name) for i, name in enumerate(names)],
    )
    (root / 'own.json').write_text(json.dumps(content))


def build_coco(root, prefix, **kwargs):
    init_default_scope('mmdet')
    return DATASETS.build(
        dict(
            type='mmfreq.CocoDataset',
            ann_file='own.json',
            data_root=root,
            data_prefix=dict(img=prefix),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)],
            **kwargs,
        )
    )


@pytest.mark.parametrize('dataset', ['mmdet'], indirect=True)
@pytest.mark.parametrize('place', ['.', './', 'relative', 'absolute'])
@pytest.mark.parametrize('file_name', ['plain', 'absolute'])
def test_good_coco_files_wherever_they_are(dataset, place, file_name, monkeypatch):
    root, _ = dataset
    monkeypatch.chdir(root.parent if place == 'relative' else root)
    path = root / 'train2017/000001.jpg' if file_name == 'absolute' else 'train2017/000001.jpg'
    coco_file(root, ['cat', 'dog'], str(path))
    where = dict(relative=root.name, absolute=str(root)).get(place, place)
    found = build_coco(where, '', metainfo=dict(classes=('cat', 'dog')))[0]
    assert found['gt_bboxes_labels'].tolist() == [1]


@pytest.mark.parametrize('dataset', ['mmdet'], indirect=True)
def test_images_outside_of_their_folder_are_refused(dataset):
    root, _ = dataset
    for name in ('../secret.jpg', '/etc/secret.jpg', 'train2017/../../secret.jpg'):
        coco_file(root, ['cat', 'dog'], name)
        with pytest.raises(ValueError, match=r'secret\.jpg is outside of'):
            build_coco(str(root), '', metainfo=dict(classes=('cat', 'dog')))


@pytest.mark.parametrize('dataset', ['mmdet'], indirect=True)
def test_forgotten_classes_are_compared_with_the_categories(dataset):
    root, _ = dataset
    coco_file(root, ['stool', 'shelf'])
    with pytest.raises(ValueError, match=r"(?s)not all among.*person.*stool, shelf.*\('stool'"):
        build_coco(str(root), '')


def test_classes_that_mmdet_would_number_otherwise_are_refused():
    """mmdet numbers classes by the file's order, and those that are there only."""
    check_classes(('cat', 'dog'), ['cat', 'cow', 'dog'], 'a.json')
    for classes in (('dog', 'cat'), ('cat', 'horse', 'dog'), ('horse',)):
        with pytest.raises(ValueError, match=r'(?s)a\.json.*categories: cat, cow, dog'):
            check_classes(classes, ['cat', 'cow', 'dog'], 'a.json')
    with pytest.raises(ValueError, match='names in a tuple'):
        check_classes('cat', ['cat'], 'a.json')


@pytest.mark.parametrize('paths', ['a.jpg', ['a.jpg', 'b.jpg'], None])
def test_errors_name_any_kind_of_paths(paths):
    def fail(info):
        raise KeyError('a transform of the user')

    with pytest.raises(ValueError, match=r'KeyError.*test_datasets\.py, line'):
        NamedPipeline(fail, None)(dict(img_path=paths))
    assert NamedPipeline(str, None)(3) == '3'


def test_categories_with_the_same_id_are_refused():
    categories = [dict(id=1, name='cat'), dict(id=2, name='dog'), dict(id=1, name='lion')]
    with pytest.raises(ValueError, match='has categories with the same id'):
        check_categories(('cat', 'dog', 'lion'), categories, 'a.json')
    check_categories(('cat', 'dog'), categories[:2], 'a.json')
