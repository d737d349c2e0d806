"""Configs of data sets: classes are said once, and pipelines follow the sizes."""

import importlib
import re
from pathlib import Path

import pytest
from mmengine.registry import DATASETS, DefaultScope, init_default_scope

from mmfreq.engine.config_options import read_with_options
from mmfreq.utils.config_tree import dicts_in, find_data_sets

DATA_SETS = {
    path.stem: str(path)
    for path in sorted(Path('configs/_base_/datasets').glob('*.py'))
    if re.search(r'^classes = \((?!\))', path.read_text(), re.MULTILINE)
}


@pytest.fixture(autouse=True)
def no_scope_is_left():
    yield
    DefaultScope._instance_dict.clear()


def test_all_are_here():
    wanted = {'cityscapes', 'pascal_voc', 'pascal_context', 'camvid'}
    assert wanted | {'own_segmentation', 'own_coco', 'own_classification'} == set(DATA_SETS)


@pytest.mark.parametrize('name', DATA_SETS)
def test_classes_are_said_once(name):
    cfg = read_with_options(DATA_SETS[name], {})
    assert cfg.num_classes == len(cfg.classes)
    fewer = cfg.classes[:1]
    cfg = read_with_options(DATA_SETS[name], {'classes': fewer, 'data_root': 'data/there'})
    assert cfg.num_classes == 1
    for data_set in find_data_sets(cfg).values():
        assert data_set.metainfo.classes == fewer and data_set.data_root == 'data/there'


@pytest.mark.parametrize('name', sorted(set(DATA_SETS) - {'own_coco'}))
def test_crops_follow(name):
    cfg = read_with_options(DATA_SETS[name], {'crop_size': (96, 64)})
    steps = [node for _, node in dicts_in(cfg.train_dataloader) if 'Crop' in node.get('type', '')]
    assert [step.get('crop_size', step.get('scale')) for step in steps] == [(96, 64)]


@pytest.mark.parametrize('name', sorted(set(DATA_SETS) - {'own_classification'}))
def test_scales_follow(name):
    cfg = read_with_options(DATA_SETS[name], {'scale': (320, 240)})
    for part in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        scales = {node['scale'] for _, node in dicts_in(cfg[part]) if 'scale' in node}
        assert scales == {(320, 240)}, part


@pytest.mark.parametrize('name', DATA_SETS)
def test_data_sets_can_be_built(name, tmp_path):
    """Every argument is one that the class knows, and the classes are its own."""
    cfg = read_with_options(DATA_SETS[name], {'data_root': str(tmp_path)})
    register_all_modules(cfg)
    for settings in find_data_sets(cfg).values():
        prefix = settings.get('data_prefix') or settings['split']
        for folder in prefix.values() if isinstance(prefix, dict) else [prefix]:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        if settings.get('ann_file'):
            (tmp_path / settings['ann_file']).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / settings['ann_file']).touch()
        data_set = DATASETS.build(dict(settings, pipeline=[], lazy_init=True))
        assert tuple(data_set.metainfo['classes']) == tuple(cfg.classes)


def register_all_modules(cfg):
    init_default_scope(cfg.default_scope)
    importlib.import_module(f'{cfg.default_scope}.datasets')
    importlib.import_module('mmfreq.datasets')


def test_camvid_is_read(shared):
    root = str(shared / 'data/camvid')
    cfg = read_with_options(DATA_SETS['camvid'], {'data_root': root})
    register_all_modules(cfg)
    found = {key: DATASETS.build(node) for key, node in find_data_sets(cfg).items()}
    assert [len(data_set) for data_set in found.values()] == [367, 101, 233]
    sample = next(iter(found.values()))[0]
    assert max(sample['inputs'].shape) <= 320 and sample['data_samples'].gt_sem_seg.data.max() > 0
