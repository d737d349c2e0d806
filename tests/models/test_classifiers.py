"""Classifiers of the originals' authors: files load whole, logits are the originals'."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import mmfreq

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
    weights = {
        key: torch.from_numpy(reference.synth(key, *entry))
        for key, entry in reference.parse(data['keys']).items()
    }
    torch.save({'model': weights}, path)
    return str(path)


@pytest.mark.parametrize('name', CONFIGS)
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
