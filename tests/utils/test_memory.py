"""Memory of freed tensors stays in the process."""

import subprocess
import sys

import pytest

# Page faults of a training step's pattern: many large tensors, freed in reverse order.
CODE = """
import resource, sys
import torch
from mmfreq.utils.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(2**size) for size in (20, 22, 24)]
    while tensors:
        tensors.pop()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == 'keep':
    print(keep_freed_memory())
for _ in range(16):  # small objects settle between the tensors within some rounds
    faults()
print(faults())
"""


def run(*args, **env):
    code = [sys.executable, '-c', CODE, *args]
    return subprocess.run(code, capture_output=True, text=True, check=True, env=env).stdout.split()


def test_freed_tensors_cost_nothing_again():
    (without,) = map(int, run('default'))
    assert without > 30  # 84 MiB, 20000 pages of 4 KiB or 42 of 2 MiB
    done, faults = run('keep')
    if done == 'False':
        pytest.skip('the C library is not glibc')
    assert int(faults) < without / 10


def test_settings_of_the_user_win():
    assert run('keep', MALLOC_ARENA_MAX='2')[0] == 'False'
