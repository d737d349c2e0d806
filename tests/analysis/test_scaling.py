import csv

import pytest
from process import here, refusal

from mmfreq.analysis.speed.scaling import Cluster, all_reduce_seconds, predict

CLUSTER = Cluster(per_node=8, within=100e9, between=10e9, latency=1e-5, bucket=25e6)


def test_all_reduce_by_hand():
    assert all_reduce_seconds(1e9, 1, CLUSTER) == 0
    inside = 2 * 7 / 8 * 1e9 / 100e9
    assert all_reduce_seconds(1e9, 8, CLUSTER) == pytest.approx(inside + 6e-5)
    between = 2 * 3 / 4 * 1e9 / 8 / 10e9
    assert all_reduce_seconds(1e9, 32, CLUSTER) == pytest.approx(inside + between + 10e-5)


def test_what_overlaps_with_the_backward_pass():
    params = 250_000_000  # 1e9 bytes
    last = all_reduce_seconds(25e6, 32, CLUSTER)
    long = predict(1.0, params, 32, CLUSTER)
    assert long.step == pytest.approx(1 + last)  # all but the last bucket is hidden
    assert long.volume == 2 * 31 / 32 * 1e9
    short = predict(0.01, params, 32, CLUSTER)
    assert short.step == pytest.approx(0.01 + short.communication - 0.01 * 2 / 3)
    assert short.efficiency == pytest.approx(0.01 / short.step)
    norms = predict(1.0, params, 32, CLUSTER, sync_norms=10)
    assert norms.step - long.step == pytest.approx(20 * 10e-5)
    assert predict(1.0, params, 1, CLUSTER).efficiency == 1
    with pytest.raises(ValueError, match='must be positive'):
        predict(1.0, 0, 8, CLUSTER)


def test_tool(tmp_path):
    said = here('tools/analysis_tools/scaling.py', 'mmfreq/measured/speed.csv', '--csv')
    rows = list(csv.DictReader(line for line in said.splitlines()))
    assert {row['devices'] for row in rows} == {'8', '32', '128', '1024'}
    assert all(0 < float(row['efficiency'].rstrip('%')) <= 100 for row in rows)
    (tmp_path / 'a.csv').write_text('model,mode\n')
    assert 'has no training steps' in refusal('tools/analysis_tools/scaling.py', tmp_path / 'a.csv')
