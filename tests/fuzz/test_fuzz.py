from pathlib import Path

import pytest
from process import python

pytestmark = pytest.mark.thorough


def test_thousand_damaged_files(mini_data, tmp_path):
    """Each is loaded, or refused with a message that names it."""
    done = python(Path(__file__).with_name('mutate.py'), mini_data, tmp_path / 'out', check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for kind in ('checkpoint', 'label map', 'annotation file'):
        assert f'{kind}: ' in done.stdout
