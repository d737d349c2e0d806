"""Compares interrupted and resumed runs with uninterrupted ones, bit for bit.

test_resumption.py uses it, also as a script with several processes:

    python -m torch.distributed.run --nproc_per_node 2 tests/tools/resumption.py DATA OUT
"""

import os
import signal
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

sys.path.insert(0, str(Path(__file__).parents[1]))
from process import ADE

from mmfreq import preemption
from mmfreq.engine.command_line import make_run_parser, read_config_of
from mmfreq.engine.launch import adapt_to_cpus, finish_distributed, prepare_distributed
from mmfreq.engine.resume import resume
from mmfreq.engine.runner import Runner

SMALL = ['model.backbone.init_cfg=None', 'model.backbone.drop_path_rate=0.3', 'randomness.seed=5']
RUNS = {
    'iterations': (
        ADE,
        'ADEChallengeData2016',
        [*SMALL, 'train_cfg.max_iters=8', 'train_cfg.val_interval=3'],
        3,
    ),
    'epochs': (
        'tests/small/retinanet.py',
        'coco',
        SMALL,
        2,
    ),
}


@HOOKS.register_module()
class Watch(Hook):
    """Records the loss of each step, and sends a signal to one process at a place."""

    def __init__(self, number=None, rank=0, after_step=None, in_validation=None):
        self.losses = {}
        self.number, self.rank = number, rank
        self.after_step, self.in_validation = after_step, in_validation

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses[runner.iter] = float(outputs['loss'])
        self.send(runner.iter + 1 == self.after_step)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.send(runner.iter == self.in_validation)

    def send(self, now):
        if now and get_rank() == self.rank:
            os.kill(os.getpid(), self.number)


def config_of(kind, data, work_dir, *options):
    path, folder, small, _ = RUNS[kind]
    arguments = [path, '--data-root', str(data / folder), '--work-dir', str(work_dir)]
    parser = make_run_parser(None, '')
    cfg = read_config_of(parser.parse_args([*arguments, '--cfg-options', *small, *options]))
    cfg.model.backbone.arch = dict(patch_size=4, embed_dims=[64, 128, 256, 512], depths=[1] * 4)
    return cfg


def train(cfg, **interruption):
    """Losses by iteration, the weights at the end, and the iteration of an interruption."""
    if get_world_size() > 1:
        cfg.launcher = 'pytorch'
        adapt_to_cpus(cfg)
    cfg.custom_hooks = [dict(type='Watch', **interruption), dict(type='EMAHook')]
    runner = Runner.from_cfg(cfg)
    losses = next(hook for hook in runner.hooks if isinstance(hook, Watch)).losses
    stopped = None
    try:
        runner.train()
    except preemption.Preempted as stop:
        assert stop.code == 85
        stopped = runner.iter
    preemption._received.clear()
    return losses, {k: v.clone() for k, v in runner.model.state_dict().items()}, stopped


def compare(full, data, work_dir, kind, options, **interruption):
    """Interrupt a run, resume it, and compare it with an uninterrupted one."""
    first, _, stopped = train(config_of(kind, data, work_dir, *options), **interruption)
    cfg = config_of(kind, data, work_dir, *options)
    assert resume(cfg, 'auto')
    second, weights, _ = train(cfg)
    assert first.keys().isdisjoint(second) and first | second == full[0]
    assert weights.keys() == full[1].keys()
    assert all(torch.equal(weights[name], full[1][name]) for name in weights)
    return stopped


def main():
    """Compare with several processes; the last one is asked to stop, and all of them do."""
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    preemption.listen()
    prepare_distributed(Config(), 'pytorch')
    rank = get_world_size() - 1
    for kind in RUNS:
        full = train(config_of(kind, data, out / kind))
        for workers, number, place in (
            (0, signal.SIGUSR1, dict(after_step=1)),
            (2, signal.SIGTERM, dict(in_validation=RUNS[kind][3])),
        ):
            work_dir = out / f'{kind}_{workers}'
            options = [f'{split}_dataloader.num_workers={workers}' for split in ('train', 'val')]
            stopped = compare(
                full, data, work_dir, kind, options, number=number, rank=rank, **place
            )
            assert [stopped] == list(place.values())
            if get_rank() == 0:
                print('equal', kind, workers)
    finish_distributed()


if __name__ == '__main__':
    main()
