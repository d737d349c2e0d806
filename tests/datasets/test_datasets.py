"""Damaged files end in errors that name them."""

import shutil

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope, init_default_scope

from mmfreq.datasets import CheckSegMap


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
