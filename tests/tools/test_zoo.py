"""The zoo is what its sources say, and the sources are what is measured."""

import csv
import re
import shutil
from pathlib import Path

import modelindex
import pytest
import torch
import yaml
from mmengine.config import Config
from process import python

from mmfreq import facts
from mmfreq.analysis.config_facts import decoder_of
from mmfreq.analysis.cost.flops import count_cost
from mmfreq.analysis.cost.operator_costs import CONVENTIONS
from mmfreq.analysis.zoo.measurements import smallest_backbones
from mmfreq.analysis.zoo.metafiles import metafile, metafiles
from mmfreq.analysis.zoo.pages import fill
from mmfreq.analysis.zoo.sources import Sources
from mmfreq.facts import MEASURED, measured_cost, measured_costs, provenance
from mmfreq.models.whole_network import WholeNetwork
from mmfreq.zoo import backbone_names, build_backbone, build_model

CONFIGS = sorted(Path('configs').glob('*.py'))


def recount(network, row):
    shape = map(int, row['height x width'].split(' x '))
    cost = count_cost(network, torch.zeros(1, 3, *shape), CONVENTIONS[row['convention']])
    return str(cost.params), str(cost.flops)


# Large ones are recounted by tools/zoo/measure.py backbones.
LARGE = 7e9
COSTS = measured_costs('backbones')
SMALL = [
    name for name in backbone_names() if name not in COSTS or int(COSTS[name]['flops']) < LARGE
]


@pytest.mark.parametrize('name', SMALL)
@pytest.mark.thorough
def test_costs_of_backbones(name):
    row = measured_cost('backbones', name)
    network = build_backbone(backbone_names()[name])
    assert recount(network, row) == (row['params'], row['flops'])


def cheapest_configs():
    """One config of each family and of each decoder; measure.py configs recounts all."""
    sources = Sources()
    cheapest = {}
    for path, config in sources.configs.items():
        cost = int(measured_costs('configs').get(str(path), {}).get('flops', 0))
        for kind in (('family', sources.families[path]), ('decoder', decoder_of(config))):
            cheapest[kind] = min(cheapest.get(kind, (cost, path)), (cost, path))
    return sorted({path for _, path in cheapest.values()})


@pytest.mark.thorough
def test_costs_of_configs():
    for path in cheapest_configs():
        row = measured_cost('configs', str(path))
        network = WholeNetwork(build_model(Config.fromfile(path)))
        assert recount(network, row) == (row['params'], row['flops']), path


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
    notes = provenance()
    assert set(notes) == {path.stem for path in MEASURED.glob('*.csv')}
    for note in notes.values():
        assert note['command'].startswith(('python tools/', 'mmfreq '))
        assert re.fullmatch(r'\d{4}-\d\d-\d\d', note['date'])
        assert note['machine'] and note['data']


def test_speed_is_measured_of_the_smallest_of_each_family():
    names = smallest_backbones()
    assert names[0] == 'gfnet-h-ti'  # ratios are to it
    assert {'dfformer-s18', 'cdfformer-s18', 'affnet-et', 'dsm-s', 'fdresnet-50'} <= set(names)
    sources = Sources()
    dense = {sources.families[p] for p in sources.configs if not sources.is_classifier(p)}
    assert len(names) == len(dense)


# ---- a new config, of another data set than all others


@pytest.fixture
def cityscapes(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(
        f"_base_ = '{Path('configs/upernet_gfnet_h_ti_ade20k.py').resolve()}'\n"
        "data = dict(type='CityscapesDataset')\n"
        'train_dataloader = dict(dataset=data)\n'
        'test_dataloader = dict(dataset=data)\n'
    )
    return path


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A copy of the measurements, to add to."""
    shutil.copytree(MEASURED, tmp_path / 'measured')
    monkeypatch.setattr(facts, 'MEASURED', tmp_path / 'measured')
    return tmp_path / 'measured'


def test_a_config_of_another_data_set_is_in_the_zoo(cityscapes, measured):
    with (measured / 'configs.csv').open('a') as file:
        csv.writer(file).writerow((cityscapes, '512 x 1024', 'all', 7_000_000, 8_000_000, 'paper'))
    sources = Sources([cityscapes])
    (entry,) = metafile(sources, 'gfnet')['Models']
    assert entry['Name'] == 'mine'
    assert entry['Metadata']['Training Data'] == 'Cityscapes'
    assert entry['Metadata']['Architecture'] == ['GFNet', 'UperNet']
    assert entry['Metadata']['Parameters'] == 7_000_000
    assert entry['Results'] == [
        {'Task': 'Semantic Segmentation', 'Dataset': 'Cityscapes', 'Metrics': {}}
    ]
    page = fill('<!-- zoo: configs -->\n<!-- end of zoo -->', sources)
    assert f'[mine](../{cityscapes})' in page and '512 x 1024' in page


def test_what_is_not_measured_is_said(cityscapes, measured):
    command = 'run python tools/zoo/measure.py backbones configs'
    sources = Sources([cityscapes])
    for make in (
        metafiles,
        lambda sources: fill('<!-- zoo: configs -->\n<!-- end of zoo -->', sources),
    ):
        with pytest.raises(ValueError, match=rf'mine\.py is not in .*configs\.csv; {command}'):
            make(sources)
    header = (measured / 'backbones.csv').read_text().splitlines()[0]
    (measured / 'backbones.csv').write_text(f'{header}\n')
    with pytest.raises(ValueError, match=rf'affnet-et is not in .*backbones\.csv; {command}'):
        fill('<!-- zoo: backbones -->\n<!-- end of zoo -->', sources)


def test_a_family_without_facts_is_named(cityscapes):
    text = cityscapes.read_text()
    cityscapes.write_text(f"{text}model = dict(backbone=dict(type='mmpretrain.VAN'))\n")
    with pytest.raises(ValueError, match=r'no mmfreq/published/van\.yml; write it as docs'):
        metafiles(Sources([cityscapes]))
