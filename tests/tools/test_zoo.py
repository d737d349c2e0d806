"""The zoo is what its sources say, and the sources are what is measured."""

import csv
import re
from pathlib import Path

import modelindex
import pytest
import torch
import yaml
from mmengine.config import Config
from process import python

from mmfreq.analysis.cost.flops import count_cost
from mmfreq.analysis.cost.operator_costs import CONVENTIONS
from mmfreq.models.whole_network import WholeNetwork
from mmfreq.zoo import backbone_names, build_backbone, build_model

MEASURED = Path('mmfreq/measured')
CONFIGS = sorted(Path('configs').glob('*.py'))


def totals(name):
    with (MEASURED / f'{name}.csv').open() as file:
        return {row['model']: row for row in csv.DictReader(file) if row['part'] == 'all'}


def recount(network, row):
    shape = map(int, row['height x width'].split(' x '))
    cost = count_cost(network, torch.zeros(1, 3, *shape), CONVENTIONS[row['convention']])
    return str(cost.params), str(cost.flops)


# All are recounted by tools/zoo/measure.py backbones.
LARGE = r'.*-(b|h-b|m36|b36|base|101|152)|(swin|convnext)-s'
SMALL = [name for name in backbone_names() if not re.fullmatch(LARGE, name)]


@pytest.mark.parametrize('name', SMALL)
def test_costs_of_backbones(name):
    row = totals('backbones')[name]
    network = build_backbone(backbone_names()[name])
    assert recount(network, row) == (row['params'], row['flops'])


# One of each decoder; all are recounted by tools/zoo/measure.py configs.
@pytest.mark.parametrize(
    'stem',
    [
        'upernet_affnet_et_ade20k',
        'fpn_dsm_s_ade20k',
        'deeplabv3_affnet_t_ade20k',
        'retinanet_affnet_et_coco',
        'mask_rcnn_affnet_et_coco',
        'ssdlite_affnet_et_coco',
        'fpn_fdconv_r50_ade20k',
    ],
)
def test_costs_of_configs(stem):
    row = totals('configs')[f'configs/{stem}.py']
    network = WholeNetwork(build_model(Config.fromfile(f'configs/{stem}.py')))
    assert recount(network, row) == (row['params'], row['flops'])


def test_everything_is_up_to_date():
    assert 'up to date' in python('tools/zoo/generate.py', '--check').stdout


def test_metafiles():
    index = modelindex.load('model-index.yml')
    index.build_models_with_collections()
    models = {model.name: model for model in index.models}
    assert sorted(models) == [path.stem for path in CONFIGS]
    collections = {collection.name for collection in index.collections}
    for model in models.values():
        assert model.in_collection in collections
        assert Path(model.config).is_file()
    for path in Path('configs').glob('*/metafile.yml'):
        for entry in yaml.safe_load(path.read_text())['Models']:
            assert 'measured by us' in entry['Metadata']['Source of Parameters and FLOPs']
            for found in entry['Results']:
                assert not found['Metrics'] or found['Source'].startswith('published: ')


def test_every_measurement_says_how_it_was_made():
    notes = yaml.safe_load((MEASURED / 'provenance.yml').read_text())
    assert set(notes) == {path.stem for path in MEASURED.glob('*.csv')}
    for note in notes.values():
        assert note['command'].startswith('python tools/')
        assert re.fullmatch(r'\d{4}-\d\d-\d\d', note['date'])
        assert note['machine'] and note['data']
