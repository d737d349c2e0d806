import signal

import pytest
import torch
from folders import removed_folder
from process import output, python
from resumption import compare, config_of, train

from mmfreq import preemption
from mmfreq.engine.resume import resume

pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def listening():
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)}
    preemption.listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope='module', params=['iterations', 'epochs'])
def full(request, mini_data, tmp_path_factory):
    kind = request.param
    options = ['default_hooks.checkpoint.max_keep_ckpts=-1']
    if kind == 'iterations':
        options.append('default_hooks.checkpoint.interval=3')
    with removed_folder(tmp_path_factory, kind) as work_dir:
        yield kind, train(config_of(kind, mini_data, work_dir, *options)), work_dir


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize(
    'interruption',
    [
        dict(number=signal.SIGUSR1, after_step=2),
        dict(number=signal.SIGTERM, in_validation=4),
    ],
    ids=['step', 'validation'],
)
def test_resumed_is_uninterrupted(full, workers, interruption, mini_data, tmp_path):
    kind, uninterrupted, _ = full
    if kind == 'iterations' and 'in_validation' in interruption:
        interruption = interruption | dict(in_validation=3)
    options = [f'{split}_dataloader.num_workers={workers}' for split in ('train', 'val')]
    stopped = compare(uninterrupted, mini_data, tmp_path, kind, options, **interruption)
    assert stopped == interruption.get('after_step', interruption.get('in_validation'))


def test_resumed_from_before_a_validation(full, mini_data, tmp_path):
    """The checkpoint is older than the validation at the same place, which is done again."""
    kind, uninterrupted, work_dir = full
    cfg = config_of(kind, mini_data, tmp_path)
    name = 'iter_3.pth' if kind == 'iterations' else 'epoch_1.pth'
    assert resume(cfg, str(work_dir / name))
    losses, weights, _ = train(cfg)
    assert losses.items() <= uninterrupted[0].items()
    assert all(torch.equal(weights[name], uninterrupted[1][name]) for name in weights)


def test_several_processes(mini_data, tmp_path, unused_port):
    launch = ['-m', 'torch.distributed.run', '--nproc_per_node', '2']
    launch += ['--master_port', unused_port, 'tests/tools/resumption.py']
    done = output(python(*launch, mini_data, tmp_path))
    for kind in ('iterations', 'epochs'):
        for workers in (0, 2):
            assert f'equal {kind} {workers}' in done


def test_accumulated_gradients_are_never_lost(full, mini_data, tmp_path):
    """A run stops between steps of the optimiser, not between two parts of one."""
    options = ['optim_wrapper.accumulative_counts=2']
    kind = full[0]
    uninterrupted = train(config_of(kind, mini_data, tmp_path / 'full', *options))
    stopped = compare(
        *(uninterrupted, mini_data, tmp_path / 'stopped', kind, options),
        **dict(number=signal.SIGUSR1, after_step=1),
    )
    assert stopped == 2
