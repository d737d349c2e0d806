"""Checkpoints and what happens to them when something goes wrong, on a network of one layer."""

import errno
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from mmfreq.engine import CheckpointHook, IterBasedTrainLoop, NonFiniteLossHook
from mmfreq.engine.nonfinite_hook import NonFiniteLossError
from mmfreq.engine.randomness import get_random_state, seeded, set_random_state
from mmfreq.engine.resume import find_checkpoints, resume
from mmfreq.engine.runner import Runner
from mmfreq.utils import atomic, read_checkpoint


class Sample(torch.Tensor):
    """Data with the name of its file, as mmseg's and mmdet's samples have."""

    @property
    def metainfo(self):
        return {'img_path': f'{int(self[0])}.jpg'}


class Net(BaseModel):
    """Loss is NaN for the samples with the given numbers."""

    def __init__(self, broken=()):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.norm = nn.BatchNorm1d(1)
        self.broken = broken

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = torch.stack([torch.as_tensor(i) for i in inputs]).float().view(-1, 1)
        for number in self.broken:
            x = torch.where(x == number, float('nan'), x)
        y = self.norm(self.layer(x))
        return {'loss': (y - 1).square().mean()} if mode == 'loss' else y

    def train_step(self, data, optim_wrapper):
        losses = self(**data, mode='loss')
        parsed, logged = self.parse_losses(losses)
        optim_wrapper.update_params(parsed)
        return logged


class Numbers(torch.utils.data.Dataset):
    metainfo = {}  # noqa: RUF012

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return dict(inputs=float(index), data_samples=Sample([index]))


def make_runner(
    work_dir, steps=6, interval=1, broken=(), load_from=None, auto_scale_lr=None, **hooks
):
    checkpoint = dict(type=CheckpointHook, by_epoch=False, interval=interval, max_keep_ckpts=2)
    hooks = dict(checkpoint=checkpoint | hooks.pop('checkpoint', {}), **hooks)
    return Runner(
        Net(broken),
        str(work_dir),
        train_dataloader=dict(
            dataset=Numbers(),
            sampler=dict(type='InfiniteSampler', shuffle=False),
            batch_size=2,
            num_workers=0,
        ),
        train_cfg=dict(type=IterBasedTrainLoop, max_iters=steps),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=hooks,
        default_scope='mmengine',
        load_from=load_from,
        resume=load_from is not None,
        auto_scale_lr=auto_scale_lr,
        experiment_name=f'{work_dir}-{random.random()}',
    )


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth*'))


def test_an_older_file_goes_only_after_the_new_one_is_whole(tmp_path, monkeypatch):
    seen = []
    replace = os.replace

    def watch(source, target):
        if str(target).endswith('.pth'):
            seen.append((Path(target).name, names(tmp_path)))
        replace(source, target)

    monkeypatch.setattr(os, 'replace', watch)
    make_runner(tmp_path, steps=4).train()
    last, before = seen[-1]
    assert last == 'iter_4.pth' and {'iter_2.pth', 'iter_3.pth'} <= set(before)
    assert names(tmp_path) == ['iter_3.pth', 'iter_4.pth']
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_4.pth')


@pytest.mark.parametrize('part', ['fsync', 'replace'])
def test_a_failed_write_leaves_the_last_checkpoint(tmp_path, monkeypatch, part):
    runner = make_runner(tmp_path, steps=4)
    original, calls = getattr(os, part), []

    def fail(*args):
        calls.append(args)
        if any('iter_3' in str(arg) for arg in args) or (part == 'fsync' and len(calls) > 8):
            raise OSError(errno.ENOSPC, 'No space left on device')
        return original(*args)

    monkeypatch.setattr(atomic.os, part, fail)
    with pytest.raises(OSError, match='No space left'):
        runner.train()
    monkeypatch.undo()
    assert names(tmp_path) == ['iter_1.pth', 'iter_2.pth']
    for name in names(tmp_path):
        assert read_checkpoint(tmp_path / name)['state_dict']
    assert find_checkpoints(tmp_path)[0].name == 'iter_2.pth'


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / f'iter_9.pth.123{atomic.UNFINISHED}').write_bytes(b'half')
    make_runner(tmp_path, steps=1).train()
    assert names(tmp_path) == ['iter_1.pth']


def test_the_newest_whole_checkpoint_is_taken(tmp_path, caplog):
    make_runner(tmp_path, steps=6, checkpoint=dict(max_keep_ckpts=-1)).train()
    os.truncate(tmp_path / 'iter_6.pth', 1000)
    cfg = Config(dict(work_dir=str(tmp_path)))
    assert resume(cfg, 'auto')
    assert cfg.load_from == str(tmp_path / 'iter_5.pth')
    assert cfg.randomness.seed == read_checkpoint(cfg.load_from)['meta']['seed']
    for path in tmp_path.glob('*.pth'):
        path.write_bytes(b'')
    assert not resume(Config(dict(work_dir=str(tmp_path))), 'auto')
    with pytest.raises(ValueError, match=r'iter_5\.pth cannot be read'):
        resume(cfg, str(tmp_path / 'iter_5.pth'))


def test_a_file_of_weights_cannot_be_resumed_from(tmp_path):
    torch.save({'state_dict': {'a': torch.ones(1)}}, tmp_path / 'iter_5.pth')
    with pytest.raises(ValueError, match=r'iter_5.pth cannot be resumed from'):
        resume(Config(dict(work_dir=str(tmp_path))), str(tmp_path / 'iter_5.pth'))


def test_order_in_which_checkpoints_are_tried(tmp_path):
    """Times are those of the files, in order of this list; the pointer comes in between."""
    for age, name in enumerate(['iter_100', 'iter_3', 'pointer', 'iter_9', 'best_mIoU_iter_9']):
        path = tmp_path / (f'{name}.pth' if name != 'pointer' else 'last_checkpoint')
        path.write_text(str(tmp_path / 'iter_8.pth'))
        os.utime(path, (1000 + age, 1000 + age))
    (tmp_path / 'iter_8.pth').touch()
    os.utime(tmp_path / 'iter_8.pth', (1000, 1000))
    # iter_9 was complete, its pointer was not written; iter_100 is of a former run.
    found = [path.name for path in find_checkpoints(tmp_path)]
    assert found == ['iter_9.pth', 'iter_8.pth', 'iter_3.pth']
    moved = tmp_path.rename(tmp_path.with_name('moved'))
    assert [path.parent for path in find_checkpoints(moved)] == [moved] * 3


def test_epochs_and_iterations_within_them_are_ordered(tmp_path):
    for name in ('epoch_2', 'epoch_10', 'epoch_2_iter_30'):
        (tmp_path / f'{name}.pth').touch()
    found = [path.stem for path in find_checkpoints(tmp_path)]
    assert found == ['epoch_10', 'epoch_2_iter_30', 'epoch_2']


def test_the_former_best_goes_after_the_new_one_is_saved(tmp_path, monkeypatch):
    runner = make_runner(tmp_path, steps=1, checkpoint=dict(save_best='acc', rule='greater'))
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    hook._save_best_checkpoint(runner, {'acc': 0.1})
    before = names(tmp_path)
    runner.train_loop._iter += 1
    monkeypatch.setattr(runner, 'save_checkpoint', None)  # calling it fails
    with pytest.raises(TypeError):
        hook._save_best_checkpoint(runner, {'acc': 0.2})
    assert names(tmp_path) == before and 'best_acc_iter_1.pth' in before
    monkeypatch.undo()
    runner.message_hub.update_info('best_score', 0.1)
    hook.best_ckpt_path = str(tmp_path / 'best_acc_iter_1.pth')
    hook._save_best_checkpoint(runner, {'acc': 0.3})
    assert [name for name in names(tmp_path) if 'best' in name] == ['best_acc_iter_2.pth']


def test_checkpoints_between_optimiser_steps_are_refused(tmp_path):
    runner = make_runner(tmp_path, interval=3)
    runner.optim_wrapper['accumulative_counts'] = 2
    with pytest.raises(ValueError, match=r'checkpoint\.interval a multiple of 2'):
        runner.train()


def test_steps_that_are_not_finite_are_skipped_and_named(tmp_path, caplog):
    nonfinite = dict(type=NonFiniteLossHook, max_skipped=3)
    runner = make_runner(tmp_path, steps=10, broken=(5, 9), nonfinite=nonfinite)
    runner.train()
    assert all(value.isfinite().all() for value in runner.model.state_dict().values())
    assert runner.message_hub.get_info('skipped_steps') == 2
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'step 3 is skipped, the loss is nan; its batch: 4.jpg, 5.jpg (1 of 3)' in log
    assert 'step 5 is skipped, the loss is nan; its batch: 8.jpg, 9.jpg (2 of 3)' in log


def test_many_of_them_end_the_run(tmp_path):
    nonfinite = dict(type=NonFiniteLossHook, max_skipped=3)
    runner = make_runner(tmp_path, steps=20, broken=(5, 9, 13), nonfinite=nonfinite)
    with pytest.raises(
        NonFiniteLossError, match=r'step 7 is skipped.*12\.jpg, 13\.jpg.*are 3 such steps'
    ):
        runner.train()
    # The count goes on with a resumed run.
    again = make_runner(
        *(tmp_path, 20, 1, (5, 9, 13), str(tmp_path / 'iter_6.pth')), nonfinite=nonfinite
    )
    with pytest.raises(NonFiniteLossError, match='step 7'):
        again.train()


def test_without_the_hook_such_a_step_ruins_the_weights(tmp_path):
    runner = make_runner(tmp_path, steps=4, broken=(5,))
    runner.train()
    assert runner.model.layer.weight.isnan().all()


def test_random_states_survive_a_file(tmp_path):
    def draw():
        return random.random(), np.random.normal(), torch.rand(2).tolist()

    draw()
    torch.save(get_random_state(), tmp_path / 'state.pth')
    first = draw()
    draw()
    set_random_state(read_checkpoint(tmp_path / 'state.pth'))
    assert draw() == first
    outside = get_random_state()
    with seeded((1, 2)):
        inside = draw()
    with seeded((1, 3)):
        assert draw() != inside
    with seeded((1, 2)):
        assert draw() == inside
    assert torch.equal(get_random_state()['torch'], outside['torch'])
    assert get_random_state()['python'] == outside['python']


def test_a_resumed_checkpoint_names_no_files_elsewhere(tmp_path):
    """Older checkpoints are removed by names that the resumed one holds."""
    work_dir, precious = tmp_path / 'run', tmp_path / 'precious.pth'
    make_runner(work_dir, steps=2).train()
    content = read_checkpoint(work_dir / 'iter_2.pth')
    hub = content['message_hub']
    hub['runtime_info'].update(
        keep_ckpt_ids=[f'../../{tmp_path.name}/precious', '/etc/passwd', 1, 2, '1_iter_2'],
        best_ckpt=str(precious),
        best_score=-1.0,
    )
    hub['resumed_keys'].update(keep_ckpt_ids=True, best_ckpt=True, best_score=True)
    torch.save(content, tmp_path / 'forged.pth')
    precious.touch()
    options = dict(save_best='acc', rule='greater', filename_tmpl='{}.pth')
    runner = make_runner(
        work_dir, steps=6, load_from=str(tmp_path / 'forged.pth'), checkpoint=options
    )
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    assert hook.best_ckpt_path == str(work_dir / 'precious.pth')
    hook._save_best_checkpoint(runner, {'acc': 0.5})
    assert precious.exists()


def test_learning_rate_follows_the_batch(tmp_path):
    """The loops' data loaders tell MMEngine their batch size."""
    scale = dict(enable=True, base_batch_size=8)
    runner = make_runner(tmp_path, steps=1, auto_scale_lr=scale)
    runner.train()
    assert runner.optim_wrapper.get_lr()['lr'] == [pytest.approx(0.1 * 2 / 8)]
