"""mmseg's, mmdet's and mmpretrain's own inference with shipped configs and published files."""

import warnings

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from process import here

from mmfreq.registry import MODELS

SEGMENTORS = [
    'upernet_gfnet_h_ti_ade20k',
    'fpn_gfnet_h_ti_ade20k',
    'fpn_dfformer_s18_ade20k',
    'deeplabv3_affnet_et_ade20k',
]
DETECTORS = [
    'retinanet_affnet_et_coco',
    'mask_rcnn_affnet_et_coco',
    'ssdlite_affnet_et_coco',
    'faster_rcnn_fdconv_r50_coco',
    'mask_rcnn_fdconv_r50_coco',
]
OWN = dict(classes=('wall crack', 'rust', 'paint'), palette=[(9, 9, 9), (200, 0, 0), (0, 0, 200)])


@pytest.fixture(autouse=True)
def scope():
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='module')
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp('image') / 'photo.jpg'
    pixels = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(pixels, (96, 96)))  # square: one window of a crop's size
    return str(path)


def write_config(name, folder, own=False):
    """A shipped config as it is, or for a data set of three classes."""
    cfg = Config.fromfile(f'configs/{name}.py')
    if own:
        cfg.model.backbone.img_size = 64
        if cfg.default_scope == 'mmseg':
            cfg.model.decode_head.num_classes = cfg.model.auxiliary_head.num_classes = 3
        else:
            cfg.model.bbox_head.num_classes = 3
    cfg.dump(folder / f'{name}.py')
    return folder / f'{name}.py'


def published(path, folder, meta):
    """A file as publish_model.py makes it of a checkpoint of a training."""
    cfg = Config.fromfile(path)
    settings = cfg.model.copy()
    settings.backbone.init_cfg = None
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = revert_sync_batchnorm(MODELS.build(settings))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(meta, iter=1)), folder / 'iter_1.pth')
    here('tools/misc/publish_model.py', folder / 'iter_1.pth', folder, '--name', 'published')
    (found,) = folder.glob('published-*.pth')
    return str(found)


@pytest.mark.parametrize('name', SEGMENTORS)
def test_segmentors(name, image, tmp_path):
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    path = write_config(name, tmp_path)
    weights = published(path, tmp_path, {})
    found = inference_model(init_model(f'configs/{name}.py', weights, device='cpu'), image)
    labels = found.pred_sem_seg.data
    assert labels.shape == (1, 96, 96)
    inferencer = MMSegInferencer(f'configs/{name}.py', weights, device='cpu')
    again = inferencer(image, out_dir=str(tmp_path / 'out'))['predictions']
    # The function reads test_pipeline, the inferencer the pipeline of the test's data set.
    np.testing.assert_array_equal(again, labels[0].numpy())
    assert cv2.imread(str(tmp_path / 'out/vis/photo.jpg')).shape == (96, 96, 3)


@pytest.mark.parametrize('name', DETECTORS)
@pytest.mark.thorough
def test_detectors(name, image, tmp_path):
    from mmdet.apis import DetInferencer, inference_detector, init_detector

    path = write_config(name, tmp_path)
    weights = published(path, tmp_path, {})
    found = inference_detector(init_detector(path, weights, device='cpu'), image).pred_instances
    inferencer = DetInferencer(str(path), weights, device='cpu', show_progress=False)
    again = inferencer(image, out_dir=str(tmp_path / 'out'))['predictions'][0]
    np.testing.assert_allclose(again['scores'], found.scores.numpy(), rtol=1e-5)
    assert (tmp_path / 'out/vis/photo.jpg').is_file()


def classifier(folder):
    """A classifier with a backbone of mmfreq, as a user of mmpretrain writes it."""
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='ResizeEdge', scale=64, edge='short'),
        dict(type='CenterCrop', crop_size=64),
        dict(type='PackInputs'),
    ]
    cfg = Config(
        dict(
            default_scope='mmpretrain',
            model=dict(
                type='ImageClassifier',
                backbone=dict(type='mmfreq.GFNet', arch='h-ti', img_size=64, out_indices=3),
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=3, in_channels=512, topk=(1,)),
                data_preprocessor=dict(mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True),
            ),
            test_dataloader=dict(
                batch_size=1, dataset=dict(type='CustomDataset', pipeline=pipeline)
            ),
        )
    )
    cfg.dump(folder / 'classifier.py')
    return folder / 'classifier.py'


# As MMEngine stores it: with more than plain data, and keys that nobody needs.
META = dict(dataset_meta=dict(OWN, label_map=None, reduce_zero_label=False))


def published_own(path, folder):
    """A file for others that knows its classes, and nothing else of the training."""
    file = published(path, folder, META)
    assert torch.load(file, weights_only=True)['meta'] == dict(dataset_meta=OWN)
    return file


def test_segmentors_name_own_classes(tmp_path):
    from mmseg.apis import MMSegInferencer, init_model

    path = write_config('upernet_gfnet_h_ti_ade20k', tmp_path, own=True)
    file = published_own(path, tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='.*class names are not saved.*')
        models = [
            init_model(str(path), file, device='cpu'),
            MMSegInferencer(str(path), file, device='cpu').model,
        ]
    for model in models:
        assert tuple(model.dataset_meta['classes']) == OWN['classes']


def test_detectors_name_own_classes(tmp_path):
    from mmdet.apis import DetInferencer, init_detector

    path = write_config('retinanet_gfnet_h_ti_coco', tmp_path, own=True)
    file = published_own(path, tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='.*class names are not saved.*')
        models = [
            init_detector(str(path), file, device='cpu'),
            DetInferencer(str(path), file, device='cpu').model,
        ]
    for model in models:
        assert tuple(model.dataset_meta['classes']) == OWN['classes']


def test_classifiers_name_own_classes(image, tmp_path):
    from mmpretrain import ImageClassificationInferencer, get_model

    path = classifier(tmp_path)
    file = published_own(path, tmp_path)
    for model in (get_model(str(path), file, device='cpu'), str(path)):
        inferencer = ImageClassificationInferencer(model, pretrained=file, device='cpu')
        assert inferencer(image)[0]['pred_class'] in OWN['classes']


def test_a_file_without_classes_is_published_as_such(tmp_path):
    torch.save(dict(state_dict={'weight': torch.ones(1)}), tmp_path / 'a.pth')
    assert 'names no classes' in here('tools/misc/publish_model.py', tmp_path / 'a.pth', tmp_path)
