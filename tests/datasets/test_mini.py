import filecmp
import json

import cv2
import numpy as np
import pytest
from mmseg.datasets import ADE20KDataset
from pycocotools.coco import COCO

from mmfreq.datasets.mini import (
    ADE_IDS,
    best_constant_miou,
    render_mini_data,
    render_scene,
)


def test_same_seed_gives_the_same_files(mini_data, tmp_path):
    render_mini_data(tmp_path, num_train=8, num_val=4, size=(96, 128))
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob('*.*') if path.is_file())
    assert len(files) == 2 * 12 + 12 + 2
    _, differing, missing = filecmp.cmpfiles(mini_data, tmp_path, files, shallow=False)
    assert not differing and not missing


def test_ids_are_those_of_ade20k():
    names = ADE20KDataset.METAINFO['classes']
    assert {name: names.index(name) + 1 for name in ADE_IDS} == ADE_IDS


def test_label_maps(mini_data):
    folder = mini_data / 'ADEChallengeData2016'
    for split, count in (('training', 8), ('validation', 4)):
        paths = sorted((folder / 'annotations' / split).iterdir())
        assert len(paths) == count
        for path in paths:
            labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            image = cv2.imread(str(folder / 'images' / split / f'{path.stem}.jpg'))
            assert labels.shape == image.shape[:2] == (96, 128)
            assert set(np.unique(labels)) <= set(ADE_IDS.values())


def test_coco_masks_agree_with_the_label_maps(mini_data):
    coco = COCO(str(mini_data / 'coco/annotations/instances_train2017.json'))
    assert len(coco.getCatIds()) == 80
    ade = {1: 'person', 3: 'car', 5: 'airplane', 9: 'boat', 37: 'ball'}
    names = {1: 'person', 3: 'car', 5: 'airplane', 9: 'boat', 37: 'sports ball'}
    assert coco.anns
    for annotation in coco.anns.values():
        image = coco.loadImgs(annotation['image_id'])[0]['file_name']
        path = mini_data / f'ADEChallengeData2016/annotations/training/{image[:-4]}.png'
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        category = annotation['category_id']
        assert coco.loadCats(category)[0]['name'] == names[category]
        mask = coco.annToMask(annotation).astype(bool)
        assert (labels[mask] == ADE_IDS[ade[category]]).mean() > 0.8
        x, y, w, h = annotation['bbox']
        assert x >= 0 and x + w <= 128 and y >= 0 and y + h <= 96 and w * h >= annotation['area']


def test_best_constant_miou(tmp_path):
    labels = np.array([[3, 3, 3, 3], [5, 5, 7, 0]], dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), labels)
    assert best_constant_miou(tmp_path) == pytest.approx(100 * (4 / 7) / 3)
    with pytest.raises(FileNotFoundError, match='no label maps'):
        best_constant_miou(tmp_path / 'none')


def test_a_constant_scores_badly_and_colour_does_not_tell_the_class():
    scenes = [render_scene((96, 128), (1, i)) for i in range(20)]
    labels = np.stack([scene.labels for scene in scenes])
    assert np.bincount(labels.ravel()).max() / labels.size < 0.45
    colors = {}
    for name in ('grass', 'tree', 'sky', 'sea'):
        pixels = [
            s.image[s.labels == ADE_IDS[name]].mean(0) for s in scenes if ADE_IDS[name] in s.labels
        ]
        colors[name] = np.array(pixels)
    for one, other in (('grass', 'tree'), ('sky', 'sea')):
        between = np.abs(colors[one].mean(0) - colors[other].mean(0))
        within = colors[one].std(0) + colors[other].std(0)
        assert (between < 2.5 * within).all()


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(json, 'dumps', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        render_mini_data(tmp_path, num_train=1, num_val=1, size=(64, 64))
    assert not list(tmp_path.iterdir())


def test_wrong_arguments_are_named(mini_data, tmp_path):
    with pytest.raises(FileExistsError, match='ADEChallengeData2016 exists'):
        render_mini_data(mini_data)
    with pytest.raises(ValueError, match='num_train=0'):
        render_mini_data(tmp_path, num_train=0)
    with pytest.raises(ValueError, match='64 x 64'):
        render_mini_data(tmp_path, size=(32, 128))
