"""The benchmark of single operations, and the plain layers that it and its sibling compare with."""

import copy
import csv

import pytest
import torch
from families import TINY
from process import here, refusal
from torch import nn

from mmfreq.analysis.speed.plain import build, make_plain
from mmfreq.analysis.speed.results import regressions
from mmfreq.analysis.speed.workloads import Workload
from mmfreq.models import FDConv
from mmfreq.ops import choice

BENCHMARK = 'tools/benchmark_ops.py'
QUICK = ('--shapes', '6x5x4', '--turns', 3, '--device', 'cpu')


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_operation_backend_and_layout(tmp_path):
    out = tmp_path / 'ops.csv'
    printed = here(BENCHMARK, *QUICK, '--out', out)
    rows = read(out)
    # Filters and bands in two layouts and cosines in one, two modes, four backends beside the
    # formula, and a copy of the features beside what has no gradient.
    assert len(rows) == (2 + 2 + 1) * (2 * 5 + 1)
    assert all(float(row['ms']) > 0 for row in rows)
    assert all(float(row['error']) < 1e-6 for row in rows if row['backend'] != 'copy')
    assert all(row['ratio'] == '' for row in rows if row['backend'] == 'copy')
    assert {row['ratio'] for row in rows if row['backend'] == 'plain'} == {'1.000'}
    assert 'GPU: not measured' in printed or torch.cuda.is_available()


def test_check_and_table(tmp_path, monkeypatch):
    table = tmp_path / 'backends.csv'
    table.write_text(
        'operation,device,mode,layout,height,width,channels,backend\n'
        'filter,cpu,inference,planes,9,9,9,fft\n'
        'filter,cuda,inference,planes,9,9,9,triton\n'
    )
    monkeypatch.setattr(choice, 'TABLE', table)
    out = tmp_path / 'ops.csv'
    here(BENCHMARK, *QUICK, '--out', out, '--write-table', '--operations', 'filter')
    rows = read(table)
    assert rows[0]['device'] == 'cuda'  # of a device that was not measured: stays
    measured = [(row['mode'], row['layout'], row['height']) for row in rows[1:]]
    assert sorted(measured) == [
        (mode, layout, '6')
        for mode in ('inference', 'training')
        for layout in ('channels-last', 'planes')
    ]
    recorded = read(out)
    for row in recorded:
        row['ratio'] = '1000'
    with (tmp_path / 'better.csv').open('w') as file:
        writer = csv.DictWriter(file, recorded[0])
        writer.writeheader()
        writer.writerows(recorded)
    message = refusal(BENCHMARK, *QUICK, '--out', out, '--check', tmp_path / 'better.csv')
    assert 'slower than recorded' in message
    assert 'no file' in refusal(BENCHMARK, *QUICK, '--check', tmp_path / 'none.csv')
    assert '--shapes' in refusal(BENCHMARK, '--shapes', '6x5', '--device', 'cpu')


def test_regressions_are_beyond_15_percent():
    recorded = [{'name': 'a', 'ratio': '2.0'}, {'name': 'b', 'ratio': '2.0'}]
    measured = [{'name': 'a', 'ratio': 1.71}, {'name': 'b', 'ratio': 1.69}]
    measured.append({'name': 'new', 'ratio': 0.1})
    assert regressions(recorded, measured, ['name']) == ['b: 1.69, recorded 2.00']


@pytest.mark.parametrize('name', ['GFNet', 'DFFormer', 'GFFormer', 'AFFNet', 'FDResNet'])
def test_plain_layers_compute_the_same(name):
    ours = TINY[name]().double().train()
    for module in ours.modules():
        if isinstance(module, FDConv):
            for param in module.modulation_parameters():
                nn.init.normal_(param, std=0.3)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)  # some residual branches start at zero
    plain = make_plain(copy.deepcopy(ours))
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    for a, b in zip(ours(images), plain(images), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize('name', ['dsm-s', 'resnet-50'])
def test_what_is_not_plain_is_not_called_so(name):
    with pytest.raises(ValueError, match=f'no plain layers for {name}'):
        build(name, (64, 64))


def test_a_plain_network_is_a_workload():
    workload = Workload('plain:affnet-et', 'training', 'eager', 'cpu', (64, 64), 1)
    workload.step()
    assert workload.params == Workload('affnet-et', 'training', 'eager', 'cpu', (64, 64), 1).params
