"""Classifiers of the originals' authors: files load whole, logits are the originals'."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import mmfreq
from mmfreq.engine.config_options import read_with_options
from mmfreq.models.pretrained import load_whole
from mmfreq.utils.errors import CheckpointError

FOLDER = Path(os.environ.get('MMFREQ_SHARED', '.')) / 'fixtures'
CONFIGS = {
    'gfnet-h-s-224x224': 'gfnet_h_s_in1k',
    'gfnet-h-ti-224x224': 'gfnet_h_ti_in1k',
    'gfnet-ti-224x224': 'gfnet_ti_in1k',
    'dfformer-s18-cls-224x224': 'dfformer_s18_in1k',
    'cdfformer-s18-cls-224x224': 'cdfformer_s18_in1k',
    'gfformer-s18-cls-224x224': 'gfformer_s18_in1k',
    'affnet-xx_small-256x256': 'affnet_et_in1k',
    'affnet-xx_small-250x333': 'affnet_et_in1k',
}


def write_checkpoint(data, reference, path):
    """The file that the authors' code would have written with the parameters of a fixture."""
    entries = reference.parse(data['keys'])
    if 'src_keys' in data.files:  # it has the size of the pre-training
        entries.update(reference.parse(data['src_keys']))
    weights = {
        key: torch.from_numpy(reference.synth(key, *entry)) for key, entry in entries.items()
    }
    torch.save({'model': weights}, path)
    return str(path)


QUICK = ('gfnet-ti-224x224', 'affnet-xx_small-256x256')
CASES = [
    pytest.param(name, marks=[] if name in QUICK else pytest.mark.thorough) for name in CONFIGS
]


@pytest.mark.parametrize('name', CASES)
def test_logits_are_the_originals(name, shared, reference, tmp_path):
    data = np.load(shared / 'fixtures' / f'{name}.npz')
    meta = json.loads(str(data['meta']))
    file = write_checkpoint(data, reference, tmp_path / 'released.pth')
    model = mmfreq.init_model(CONFIGS[name], file, 'cpu')
    assert sum(p.numel() for p in model.parameters()) == meta['params_total']
    images = torch.from_numpy(reference.make_input(meta))
    for dtype in (torch.float32, torch.float64):
        with torch.no_grad():
            logits = model.to(dtype)(images.to(dtype), mode='tensor').numpy()
        assert reference.compare(data, {'logits': logits}, f64=dtype == torch.float64)


def test_fine_tuning_at_another_size_begins_where_the_originals_does(shared, reference, tmp_path):
    data = np.load(shared / 'fixtures/gfnet-h-ti-ft224to384-384x384.npz')
    file = write_checkpoint(data, reference, tmp_path / 'released.pth')
    config = read_with_options('gfnet_h_ti_in1k', {'crop_size': (384, 384)})
    model = mmfreq.init_model(config, file, 'cpu')
    assert model.backbone.sizes[0] == (96, 96)
    images = torch.from_numpy(reference.make_input(json.loads(str(data['meta']))))
    with torch.no_grad():
        logits = model(images, mode='tensor').numpy()
    assert reference.compare(data, {'logits': logits}, f64=False)


def test_files_that_do_not_fit(tmp_path):
    file = tmp_path / 'released.pth'
    own = mmfreq.init_model('gfnet_ti_in1k', device='cpu')
    released = {'head.weight': torch.zeros(10, 256), 'head.bias': torch.zeros(10)}
    released |= {f'blocks.{i}.filter.complex_weight': torch.zeros(14, 8, 256, 2) for i in range(12)}
    torch.save(released, file)
    with pytest.raises(CheckpointError, match=r'of another shape head\.fc\.weight'):
        load_whole(own, released, str(file), 'gfnet_ti_in1k')
    with pytest.raises(CheckpointError, match='missing'):
        mmfreq.init_model('dfformer_s18_in1k', str(file), 'cpu')
