"""Classifiers from a folder of classes to a dense network, with every tool on the way."""

import json
import re

import numpy as np
import pytest
from folders import removed_folder
from PIL import Image
from process import output, python, refusal

from mmfreq.datasets.object_crops import crop_objects
from mmfreq.utils.config_files import read_model_config

CROP = 'tools/dataset_converters/crop_coco_objects.py'
VISUAL = 'tools/visualization'
CLASSES = ('car', 'person', 'sports_ball')
NO_WORKERS = [
    f'{split}_dataloader.{key}'
    for split in ('train', 'val', 'test')
    for key in ('num_workers=0', 'persistent_workers=False')
]


@pytest.fixture(scope='module')
def objects(mini_data, tmp_path_factory):
    """Objects of a rendered data set, and the config of a user for them."""
    with removed_folder(tmp_path_factory, 'classification') as folder:
        options = ('--classes', 3, '--min-side', 8)
        printed = python(CROP, mini_data / 'coco', folder / 'objects', *options).stdout
        assert printed.splitlines()[-1] == f'classes = {CLASSES}'
        (folder / 'objects.py').write_text(
            "_base_ = 'mmfreq::affnet_et_in1k.py'\n"
            f"data_root = '{folder}/objects'\n"
            f'classes = {CLASSES}\n'
            'max_epochs = 1\n'
            'batch_size = 8\n'
            'crop_size = (64, 64)\n'
            'scale = 72\n'
        )
        yield folder


@pytest.fixture(scope='module')
def trained(objects):
    command = ('tools/train.py', objects / 'objects.py', '--work-dir', objects / 'run')
    printed = output(python(*command, '--cfg-options', *NO_WORKERS))
    assert re.search(r'accuracy/top1: \d', printed)
    return objects / 'run/epoch_1.pth'


def test_crops_are_the_objects(objects, mini_data):
    for split in ('train', 'val'):
        folders = sorted(path.name for path in (objects / 'objects' / split).iterdir())
        assert tuple(folders) == CLASSES
    image = Image.open(next((objects / 'objects/train/car').iterdir()))
    assert image.width > image.height and np.asarray(image).std() > 5
    with pytest.raises(FileExistsError):
        crop_objects(
            mini_data / 'coco/annotations/instances_val2017.json',
            *(mini_data / 'coco/val2017', objects / 'objects/val', CLASSES, 1),
        )


def test_everything_follows_the_classes(objects):
    cfg = read_model_config(str(objects / 'objects.py'))
    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == 3
    assert cfg.val_evaluator.topk == (1,)
    assert cfg.train_dataloader.dataset.pipeline[1].scale == (64, 64)


def test_names_in_another_order_than_the_folders(objects):
    order = 'classes=("person","car","sports_ball")'
    command = ('tools/train.py', objects / 'objects.py', '--work-dir', objects / 'no')
    said = output(python(*command, '--cfg-options', order, *NO_WORKERS, check=False))
    assert 'write classes in the order of the folders' in said


@pytest.mark.thorough
def test_evaluation_and_pictures(objects, trained):
    config = objects / 'objects.py'
    printed = output(python('tools/test.py', config, trained, '--cfg-options', *NO_WORKERS))
    assert re.search(r'accuracy/top1: \d', printed)
    python(
        *(f'{VISUAL}/confusion_matrix.py', config, trained, '--out', objects / 'c.png'),
        *('--work-dir', objects, '--cfg-options', *NO_WORKERS),
    )
    counts = np.loadtxt(objects / 'c.csv', delimiter=',', skiprows=1, dtype=int)
    number = len(list((objects / 'objects/val').glob('*/*.jpg')))
    assert counts.shape == (3, 3) and counts.sum() == number
    python(f'{VISUAL}/browse_dataset.py', config, '--number', 2, '--out-dir', objects / 'b')
    assert len(list((objects / 'b').iterdir())) == 2
    photo = next((objects / 'objects/val/car').iterdir())
    python(
        *(f'{VISUAL}/vis_filters.py', config, '--checkpoint', trained, '--images', photo),
        *('--out-dir', objects / 'f'),
    )
    assert list((objects / 'f').glob('*.png'))
    python(f'{VISUAL}/vis_spectrum.py', config, '--images', photo, '--out-dir', objects / 's')
    assert list((objects / 's').glob('*.png'))


@pytest.mark.thorough
def test_costs_export_and_prediction(objects, trained):
    config, photos = objects / 'objects.py', objects / 'objects/val/car'
    assert 'head' in python('tools/analysis_tools/get_flops.py', config).stdout
    python('tools/predict.py', config, trained, photos, '--out', objects / 'p')
    header = (objects / 'p/classes.csv').read_text().splitlines()[0]
    assert header == f'image,predicted,{",".join(CLASSES)}'
    photo = next(photos.iterdir())
    python(
        *('tools/export_onnx.py', config, trained, '--shape', 64, 64, '--images', photo),
        *('--out', objects / 'm.onnx'),
    )
    python('tools/predict.py', objects / 'm.onnx', photos, '--out', objects / 'q')
    lines = [(objects / name / 'classes.csv').read_text().splitlines() for name in 'pq']
    assert [line.split(',')[:2] for line in lines[0]] == [line.split(',')[:2] for line in lines[1]]


@pytest.mark.thorough
def test_weights_of_a_classifier_start_a_dense_network(objects, trained, mini_data):
    printed = output(
        python(
            *('tools/train.py', 'configs/fpn_affnet_et_ade20k.py', '--pretrained', trained),
            *('--data-root', mini_data / 'ADEChallengeData2016', '--work-dir', objects / 'dense'),
            *('--cfg-options', 'train_cfg.max_iters=1', 'crop_size=(64,64)', *NO_WORKERS),
            'val_dataloader.dataset.indices=1',
        )
    )
    assert re.search(r'AFFNet: loaded \d+ of \d+ tensors', printed)
    assert re.search(r'mIoU: *\d', printed)


@pytest.mark.thorough
def test_a_checkpoint_of_other_classes_or_of_another_network(objects, trained):
    photo = next((objects / 'objects/val/car').iterdir())
    out = ('--out', objects / 'refused')
    said = refusal('tools/predict.py', 'affnet_et_in1k', trained, photo, *out)
    assert 'head.fc.weight' in said and 'another shape' in said
    said = refusal('tools/predict.py', 'gfnet_ti_in1k', trained, photo, *out)
    assert 'does not fit' in said
    assert not (objects / 'refused').exists()


def test_boxes_that_cannot_be_cut_out(tmp_path):
    Image.new('RGB', (80, 60)).save(tmp_path / 'a.jpg')
    boxes = [[10, 10, 40, 40], [200, 10, 40, 40], None, [1, 2]]
    annotations = [dict(image_id=1, category_id=1, bbox=box) for box in boxes]
    content = dict(
        images=[dict(id=1, file_name='a.jpg')],
        annotations=[*annotations, dict(image_id=1, category_id=1)],
        categories=[dict(id=1, name='box')],
    )
    (tmp_path / 'all.json').write_text(json.dumps(content))
    assert crop_objects(tmp_path / 'all.json', tmp_path, tmp_path / 'out', ('box',), 9) == {
        'box': 1
    }
