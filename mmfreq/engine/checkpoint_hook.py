"""Checkpoints that are whole or not there, and from which a run goes on bit for bit."""

import logging
import re
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmfreq.engine.plain_checkpoints import make_plain, restore_logs
from mmfreq.registry import HOOKS
from mmfreq.utils.atomic import AtomicBackend, remove_unfinished

__all__ = ['CheckpointHook']

TRAIN_LOOP = 'train_loop'

_PLAIN = re.compile(r'\d+(_iter_\d+)?')  # numbers in the names of checkpoints


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's hook, with files that survive crashes and hold all that a run needs to go on.

    * Files are written beside their place, flushed and renamed, ``last_checkpoint`` comes last, and
      an older file is removed only after the newer one is complete.
    * Besides MMEngine's content they hold, under ``'train_loop'``, the states of the random
      generators of every process and its place in the data, if the loop is one of mmfreq's.
    * Log buffers are tensors in them, so that ``torch.load(weights_only=True)`` reads all of it.

    Args:
        **kwargs: As in ``mmengine.hooks.CheckpointHook``. Files in another storage, by
            ``backend_args`` or an address as ``out_dir``, are written as that storage does.
    """

    def __init__(self, **kwargs: Any) -> None:
        elsewhere = '://' in str(kwargs.get('out_dir'))
        self.local = kwargs.get('backend_args') is None and not elsewhere
        if self.local:
            kwargs['backend_args'] = {'backend': 'mmfreq.atomic'}
        super().__init__(**kwargs)
        self._loops: list[dict[str, Any]] = []

    def before_train(self, runner: Runner) -> None:
        """Check the interval and tidy up after a crash.

        A resumed checkpoint also says which older files the run keeps, and so removes in time. A
        file from strangers may name any, so only those of this run's folder are believed.

        Args:
            runner (Runner): Runner of the run.

        Raises:
            ValueError: If checkpoints would fall between two steps of the optimiser.
        """
        hub = runner.message_hub
        kept = hub.runtime_info.get('keep_ckpt_ids', [])
        hub.update_info('keep_ckpt_ids', [step for step in kept if _PLAIN.fullmatch(str(step))])
        super().before_train(runner)
        best = getattr(self, 'best_ckpt_path', None)
        if best is not None:
            self.best_ckpt_path = self._within(best)
        for metric, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            self.best_ckpt_path_dict[metric] = path and self._within(path)
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if not self.by_epoch and self.interval > 0 and self.interval % steps:
            raise ValueError(
                f'checkpoints every {self.interval} iterations would lose gradients, which are '
                f'accumulated over {steps}: make default_hooks.checkpoint.interval a multiple of '
                f'{steps}'
            )
        if self.local and is_main_process():
            remove_unfinished(self.out_dir)

    def _within(self, path: str) -> str:
        """A file of this name in this run's folder, whatever folder a checkpoint names."""
        return self.file_backend.join_path(self.out_dir, Path(path).name)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Tell the training loop of a resumed run where it stood.

        Args:
            runner (Runner): Runner of the run.
            checkpoint (dict): Content of a checkpoint.
        """
        restore_logs(checkpoint)
        if not runner._resume or not hasattr(runner.train_loop, 'load_state_dicts'):
            return
        if TRAIN_LOOP in checkpoint:
            runner.train_loop.load_state_dicts(checkpoint[TRAIN_LOOP])
        else:
            message = 'the checkpoint has no random states and no place in the data: the run goes '
            print_log(f'{message} on with other batches', 'current', logging.WARNING)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what the training loops need to go on exactly.

        Args:
            runner (Runner): Runner of the run.
            checkpoint (dict): Content of a checkpoint, changed in place.
        """
        if 'optimizer' in checkpoint:  # not in the best one, which is not for resuming
            checkpoint[TRAIN_LOOP] = self._loops
        make_plain(checkpoint)

    def save_now(self, runner: Runner) -> None:
        """Save between two steps, unless the last checkpoint is of this very place.

        Within an epoch the file has both numbers in its name, as in ``epoch_3_iter_1200.pth``:
        three epochs are complete, and 1200 iterations.

        Args:
            runner (Runner): Runner of the run.
        """
        step: int | str = runner.iter
        if self.by_epoch:
            within = runner.train_loop.batches_done > 0
            step = f'{runner.epoch}_iter_{runner.iter}' if within else runner.epoch
        if self.last_ckpt is None or Path(self.last_ckpt).name != self.filename_tmpl.format(step):
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, step, meta)

    def _save_checkpoint_with_step(self, runner: Runner, step: int | str, meta: dict) -> None:
        """Save, let the pointer follow, and then remove what is too old."""
        if hasattr(runner.train_loop, 'state_dict'):
            self._loops = all_gather_object(runner.train_loop.state_dict())
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated.append(self.filename_tmpl.format(self.keep_ckpt_ids.popleft()))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        pointer = Path(runner.work_dir) / 'last_checkpoint'
        AtomicBackend().put_text(self.last_ckpt, pointer)
        for old in outdated:
            path = self.file_backend.join_path(self.out_dir, old)
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save the best one; the former best is removed when the new one is complete."""
        remove = self.file_backend.remove
        outdated: list[str] = []
        self.file_backend.remove = outdated.append
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend.remove = remove
        for path in outdated:
            remove(path)
