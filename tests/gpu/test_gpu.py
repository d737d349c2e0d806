"""Every operation and backend on a GPU; the same checks as those of tools/check_gpu.py."""

import pytest
import torch

from mmfreq.analysis.gpu_check import SIZES, checks

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='torch sees no GPU here')


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('check', checks('cuda'), ids=lambda check: check.name)
def test_agrees_with_float64(check, size):
    assert check.run(size) <= check.tolerance
