import re
from pathlib import Path

import pytest
from process import python

pytestmark = pytest.mark.thorough


def test_a_fault_of_each_kind(shared, tmp_path):
    """At random moments of a training on real images; inject.py takes more."""
    root = shared / 'data/ade20k_mini/ADEChallengeData2016'
    script = Path(__file__).with_name('inject.py')
    done = python(script, root, tmp_path / 'out', '--faults', 6, '--seed', 1, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r'[56] faults: weights and mIoU [\d.]+ as without', done.stdout)
