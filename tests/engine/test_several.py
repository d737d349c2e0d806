from pathlib import Path

import pytest
from families import TINY
from process import python

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize('processes', [2, 4])
def test_several_processes_do_what_one_does(processes, unused_port):
    """Gradients, accumulated gradients and a sharded step, against the whole batch in float64."""
    launch = ['-m', 'torch.distributed.run', '--nproc_per_node', processes]
    script = Path(__file__).with_name('several.py')
    done = python(*launch, '--master_port', unused_port, script)
    assert done.stdout.count('same gradients') == len(TINY) and 'all same' in done.stdout
