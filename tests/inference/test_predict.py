"""Predictions for images of one's own: those of the libraries, and one message per bad image."""

import json

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

import mmfreq
from mmfreq.inference import Classification, Detection, Segmentation
from mmfreq.inference.predict import Failure, Predictor, predict_each
from mmfreq.inference.sources import find_sources
from mmfreq.inference.summary import _category_ids
from mmfreq.utils.errors import DataError

CLASSIFIER = """
_base_ = []
default_scope = 'mmpretrain'
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=72, edge='short'),
    dict(type='CenterCrop', crop_size=64),
    dict(type='PackInputs'),
]
test_dataloader = dict(batch_size=1, dataset=dict(
    type='CustomDataset', data_prefix='', metainfo=dict(classes=['cat', 'dog', 'owl']),
    pipeline=pipeline))
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmfreq.GFNet', arch='h-ti', img_size=64, out_indices=3),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=512, topk=(1,)),
    data_preprocessor=dict(mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True),
)
"""


@pytest.fixture(autouse=True)
def scope():
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='module')
def pixels():
    small = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((96, 72)))


@pytest.fixture(scope='module')
def folder(tmp_path_factory, pixels):
    """Images of many kinds, whole ones and broken ones."""
    folder = tmp_path_factory.mktemp('images')
    image = Image.fromarray(pixels)
    image.save(folder / 'plain.png')
    image.convert('CMYK').save(folder / 'cmyk.jpg')
    image.convert('RGBA').save(folder / 'rgba.png')
    image.convert('P').save(folder / 'palette.png')
    image.convert('L').save(folder / 'grey.png')
    (folder / 'sub').mkdir()
    turned = image.getexif()
    turned[274] = 6  # to be turned by 90 degrees
    image.save(folder / 'sub/turned.jpg', exif=turned)
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 16).save(folder / 'deep.png')
    (folder / 'empty.jpg').touch()
    (folder / 'text.png').write_text('no image')
    (folder / 'cut.jpg').write_bytes((folder / 'cmyk.jpg').read_bytes()[:900])
    (folder / 'notes.txt').write_text('is no image and is left out')
    return folder


@pytest.fixture(scope='module')
def segmentor():
    torch.manual_seed(0)
    return mmfreq.init_model('tests/small/upernet.py', device='cpu')


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
    path = tmp_path_factory.mktemp('classifier') / 'classifier.py'
    path.write_text(CLASSIFIER)
    return mmfreq.init_model(str(path), device='cpu')


def test_segmentation_is_that_of_mmseg(segmentor, folder):
    from mmseg.apis import inference_model

    (found,) = mmfreq.predict(segmentor, folder / 'plain.png')
    assert isinstance(found, Segmentation)
    expected = inference_model(segmentor, str(folder / 'plain.png')).pred_sem_seg.data[0]
    np.testing.assert_array_equal(found.label_map, expected.numpy())
    assert sum(found.shares().values()) == pytest.approx(1)


def test_every_kind_of_image(segmentor, pixels, folder):
    array, pil = mmfreq.predict(segmentor, [pixels, Image.fromarray(pixels)])
    (path,) = mmfreq.predict(segmentor, str(folder / 'plain.png'))
    np.testing.assert_array_equal(array.label_map, path.label_map)
    np.testing.assert_array_equal(array.label_map, pil.label_map)
    np.testing.assert_array_equal(array.image, pixels)
    assert array.name != pil.name


def test_a_folder_with_broken_images(segmentor, folder):
    sources = find_sources(folder)
    assert len(sources) == 10
    results = dict(zip(sources, predict_each(segmentor, sources, batch_size=3), strict=True))
    broken = {s.name: str(r.error) for s, r in results.items() if isinstance(r, Failure)}
    assert set(broken) == {'cut', 'empty', 'text'}
    assert all(f'{name}.' in message for name, message in broken.items())
    whole = {s.name: r for s, r in results.items() if isinstance(r, Segmentation)}
    assert whole['sub/turned'].label_map.shape == (96, 72)
    assert whole['plain'].label_map.shape == (72, 96)
    # What a batch holds beside an image does not change its result.
    (alone,) = mmfreq.predict(segmentor, folder / 'grey.png')
    np.testing.assert_array_equal(alone.label_map, whole['grey'].label_map)
    with pytest.raises(DataError, match=r'cut\.jpg is damaged'):
        mmfreq.predict(segmentor, folder)


def test_saved_label_maps_are_read_as_ground_truth(segmentor, folder, tmp_path):
    """ADE20K's maps count from 1, and mmseg takes one off."""
    (found,) = mmfreq.predict(segmentor, folder / 'plain.png')
    files = {path.name: path for path in found.save(tmp_path)}
    assert set(files) == {'plain.png', 'plain_overlay.jpg', 'plain.json'}
    from mmseg.datasets.transforms import LoadAnnotations

    sample = dict(seg_map_path=str(files['plain.png']), reduce_zero_label=True, seg_fields=[])
    read = LoadAnnotations()(sample)['gt_seg_map']
    np.testing.assert_array_equal(read, found.label_map)
    assert Image.open(files['plain.png']).mode == 'P'
    told = json.loads(files['plain.json'].read_text())
    assert (told['height'], told['width']) == (72, 96)
    assert told['shares'] == pytest.approx(found.shares(), abs=1e-6)


def test_detection_is_that_of_mmdet(folder):
    from mmdet.apis import inference_detector

    model = mmfreq.init_model('tests/small/mask_rcnn.py', device='cpu')
    (found,) = mmfreq.predict(model, folder / 'plain.png')
    assert isinstance(found, Detection)
    expected = inference_detector(model, str(folder / 'plain.png')).pred_instances
    np.testing.assert_allclose(found.scores, expected.scores.numpy(), rtol=1e-5)
    np.testing.assert_allclose(found.boxes, expected.bboxes.numpy(), rtol=1e-4, atol=1e-3)
    assert found.masks.shape == (len(found.boxes), 72, 96)
    found.threshold = 0.0
    assert found.draw().shape[1] > 96  # with a legend
    from pycocotools import mask as coco_mask

    told = found.to_dict()['detections'][0]
    np.testing.assert_array_equal(coco_mask.decode(told['segmentation']), found.masks[0])


def test_classification_is_that_of_mmpretrain(classifier, folder):
    from mmpretrain import ImageClassificationInferencer

    (found,) = mmfreq.predict(classifier, folder / 'plain.png')
    assert isinstance(found, Classification)
    (expected,) = ImageClassificationInferencer(classifier)(str(folder / 'plain.png'))
    np.testing.assert_allclose(found.scores, expected['pred_scores'], rtol=1e-5)
    assert found.label == expected['pred_label']
    assert list(found.best()) == [found.classes[i] for i in np.argsort(-found.scores)]


def test_other_channels(pixels):
    config = 'tests/small/upernet.py'
    from mmfreq.utils.config_files import read_model_config

    cfg = read_model_config(config)
    cfg.model.backbone.in_channels = 4
    cfg.model.data_preprocessor.update(mean=[100.0], std=[50.0], bgr_to_rgb=False)
    model = mmfreq.init_model(cfg, device='cpu')
    four = np.concatenate([pixels, pixels[..., :1]], axis=2)
    (found,) = mmfreq.predict(model, four)
    assert found.label_map.shape == (72, 96)
    with pytest.raises(DataError, match='3 channels, and the network takes 4'):
        mmfreq.predict(model, pixels)


def test_an_image_too_large_for_the_memory_is_refused(segmentor):
    huge = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (20000, 20000, 3))
    with pytest.raises(DataError, match='GiB of memory'):
        Predictor(segmentor).predict_images([huge])


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        ('nowhere.jpg', 'there is no image nowhere.jpg'),
        ('nowhere/*.jpg', r'there is no image nowhere/\*'),
        ('https://example.org/a.jpg', 'download the image first'),
        ([], 'no image is named'),
        (np.zeros((4, 4, 3)), 'uint8'),
        (np.zeros((1, 4, 4, 3), np.uint8), r'\(H, W, 3\)'),
        (3.5, 'path, an array or a PIL image'),
    ],
)
def test_wrong_sources(images, message):
    images = [images] if isinstance(images, float) else images
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        find_sources(images)


def test_folders_without_images_and_videos(tmp_path):
    with pytest.raises(FileNotFoundError, match='has no image'):
        find_sources(tmp_path)
    (tmp_path / 'film.mp4').touch()
    with pytest.raises(ValueError, match='is a video; make images'):
        find_sources(tmp_path / 'film.mp4')


def test_names_do_not_collide(tmp_path):
    for name in ('a/photo.jpg', 'b/photo.jpg', 'b/photo.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [s.name for s in find_sources([tmp_path / 'a', tmp_path / 'b'])]
    assert len(set(names)) == 3
    twice = find_sources([tmp_path / 'a/photo.jpg', tmp_path / 'a/photo.jpg'])
    assert len({s.name for s in twice}) == 2


def test_models_and_checkpoints_that_do_not_belong_together(segmentor, tmp_path):
    state = segmentor.state_dict()
    meta = dict(dataset_meta=dict(classes=['a', 'b'], palette=[(1, 2, 3), (4, 5, 6)]))
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'two.pth')
    with pytest.raises(
        ValueError, match=r'two\.pth names 2 classes, and the model of the config has'
    ):
        mmfreq.init_model('tests/small/upernet.py', str(tmp_path / 'two.pth'), 'cpu')
    state = {k: v for k, v in state.items() if not k.startswith('decode_head')}
    torch.save(dict(state_dict=state), tmp_path / 'part.pth')
    with pytest.raises(ValueError, match=r'does not fit .*decode_head'):
        mmfreq.init_model('tests/small/upernet.py', str(tmp_path / 'part.pth'), 'cpu')
    with pytest.raises(FileNotFoundError, match=r'did you mean .*upernet_gfnet_h_s_ade20k'):
        mmfreq.init_model('upernet_gfnet_h_s_ade2k')


def test_an_onnx_file_predicts_the_same(classifier, folder, tmp_path):
    from mmfreq.export import export_onnx, part_to_export
    from mmfreq.inference.onnx_file import OnnxModel, metadata_of

    (expected,) = mmfreq.predict(classifier, folder / 'plain.png')
    network = part_to_export(classifier)
    about = metadata_of(classifier, type(network).__name__, (64, 64), 'a test')
    path = tmp_path / 'classifier.onnx'
    export_onnx(network, torch.zeros(1, 3, 64, 64), path, metadata=about)
    (found,) = mmfreq.predict(OnnxModel(path), folder / 'plain.png')
    assert found.classes == expected.classes
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)


def test_ids_of_categories_are_those_of_coco_for_its_classes():
    from mmdet.datasets import CocoDataset

    ids = _category_ids(CocoDataset.METAINFO['classes'])
    assert len(ids) == 80 and ids[0] == 1 and ids[-1] == 90
    assert ids[CocoDataset.METAINFO['classes'].index('surfboard')] == 42
    assert _category_ids(('cat', 'dog')) == [0, 1]
