"""MMEngine's training loops, able to stop after any batch and to go on there bit for bit."""

import logging
from collections.abc import Iterator
from typing import Any

from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import EMAHook, Hook, LoggerHook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochLoop
from mmengine.runner import IterBasedTrainLoop as MMEngineIterLoop
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmfreq.engine.agreement import Agreement
from mmfreq.engine.batches import PlacedBatchSampler, with_placed_batches
from mmfreq.engine.checkpoint_hook import CheckpointHook
from mmfreq.engine.randomness import (
    RandomState,
    get_random_state,
    preserved_randomness,
    set_random_state,
)
from mmfreq.preemption import Preempted, begin, requested
from mmfreq.registry import LOOPS
from mmfreq.utils.errors import ConfigError

__all__ = ['EpochBasedTrainLoop', 'IterBasedTrainLoop', 'check_sampler', 'log_at_iterations']

ENDLESS = ('InfiniteSampler', 'MultiSourceSampler')  # of MMEngine and mmdet

VALIDATED_AT = 'last_validation'  # in the message hub: iteration of the last whole validation


class _Resumable:
    """What both loops share: the place in the data, pre-emption, validation that leaves no trace.

    ``passes_done`` and ``batches_done`` say which batch comes next.
    """

    runner: Runner
    dataloader: DataLoader
    _iter: int
    _epoch: int
    _max_iters: int

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, **kwargs: Any) -> None:
        loader = runner.build_dataloader(dataloader, seed=runner.seed)  # returns built ones as is
        super().__init__(runner, with_placed_batches(loader, runner.seed), **kwargs)  # type: ignore[call-arg]
        self.passes_done = 0
        self.batches_done = 0
        self._restored: RandomState | None = None  # for the next step
        self._before_validation: RandomState | None = None
        self.agreement = Agreement()
        runner.register_hook(_StopInValidation(self.agreement))

    def state_dict(self) -> dict[str, Any]:
        """Place in the data and state of the random generators of this process."""
        return dict(
            passes_done=self.passes_done,
            batches_done=self.batches_done,
            random_state=self._restored or self._before_validation or get_random_state(),
        )

    def load_state_dicts(self, states: list[dict[str, Any]]) -> None:
        """Go on where a run stood.

        Args:
            states (list[dict[str, Any]]): What :meth:`state_dict` returned in each process. With
                another number of processes the run goes on after the samples that all of them
                together have seen, with other random numbers.
        """
        same = len(states) == get_world_size()
        state = states[get_rank() if same else 0]
        self.passes_done = state['passes_done']
        self.batches_done = state['batches_done'] * len(states) // get_world_size()
        if same:
            self._restored = state['random_state']
        else:
            print_log(
                f'{len(states)} processes saved the checkpoint and {get_world_size()} go on, with '
                'other random numbers',
                'current',
            )

    def run_iter(self, *args: Any) -> None:
        """Take one step, then stop if any process has been asked to.

        Raises:
            Preempted: On all processes, if one of them has been asked to stop.
        """
        self.batches_done += 1
        if self._restored is not None:
            set_random_state(self._restored)
            self._restored = None
        super().run_iter(*args)  # type: ignore[misc]
        at_step = self.runner.optim_wrapper.should_update()  # accumulated gradients are not saved
        if at_step and self.agreement.any(requested() is not None):
            raise Preempted

    def run(self) -> nn.Module:
        """Train.

        Returns:
            nn.Module: The model.

        Raises:
            Preempted: After saving a checkpoint, if a process has been asked to stop.
        """
        begin()
        try:
            return self._run()
        except Preempted:
            hooks = [hook for hook in self.runner.hooks if isinstance(hook, CheckpointHook)]
            for hook in hooks:
                hook.save_now(self.runner)
            if not hooks:
                print_log('no mmfreq.CheckpointHook: nothing is saved', 'current', logging.WARNING)
            raise

    def _run(self) -> nn.Module:
        raise NotImplementedError

    def _rest_of_pass(self) -> Iterator[tuple[int, Any]]:
        """Batches that are left of a pass through the data, each with its number."""
        assert isinstance(self.dataloader.batch_sampler, PlacedBatchSampler)
        self.dataloader.batch_sampler.start(self.passes_done, self.batches_done)
        with preserved_randomness():  # DataLoader draws a seed for its workers
            batches = iter(self.dataloader)
        yield from enumerate(batches, self.batches_done)
        self.passes_done += 1
        self.batches_done = 0

    def _validate(self, due: bool) -> None:
        """Validate if it is due and was not done here before; leaves random generators alone."""
        hub = self.runner.message_hub
        done = hub.runtime_info.get(VALIDATED_AT) == self._iter
        if not due or done or self.runner.val_loop is None:
            return
        self._before_validation = get_random_state()
        try:
            self.runner.val_loop.run()
        except Preempted:
            for hook in self.runner.hooks:
                if isinstance(hook, EMAHook):
                    hook.after_val_epoch(self.runner)  # puts the trained weights back
            raise
        finally:
            set_random_state(self._before_validation)
            self._before_validation = None


class _StopInValidation(Hook):
    """Stops a validation within one batch after a process has been asked to."""

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement
        self.rounds = 0

    def before_val_epoch(self, runner: Runner) -> None:
        # Processes can have unequal numbers of batches; all ask one another equally often.
        own = len(runner.val_dataloader)
        self.rounds = self.agreement.largest(own) - own
        if own == 0:
            self._ask(self.rounds)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        runner.message_hub.update_info(VALIDATED_AT, runner.iter)

    def after_val_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        last = batch_idx + 1 == len(runner.val_dataloader)
        self._ask(1 + self.rounds if last else 1)

    def _ask(self, times: int) -> None:
        for _ in range(times):
            if self.agreement.any(requested() is not None):
                raise Preempted


@LOOPS.register_module()
class IterBasedTrainLoop(_Resumable, MMEngineIterLoop):
    """MMEngine's loop over iterations, with exact resumption and pre-emption.

    A resumed run takes the same batches with the same augmentation as one that was never
    interrupted, see :func:`mmfreq.engine.batches.with_placed_batches`; a validation that was cut
    short is done again. When a process is asked to stop (:func:`mmfreq.preemption.listen`), all
    processes agree on it after the current optimiser step, or the current batch of a validation,
    save a checkpoint and raise :class:`mmfreq.preemption.Preempted`.

    Args:
        runner (Runner): Runner of the run.
        dataloader (DataLoader | dict): Training data.
        **kwargs: As in ``mmengine.runner.IterBasedTrainLoop``: max_iters, val_begin, val_interval,
            dynamic_intervals.
    """

    def _run(self) -> nn.Module:
        log_at_iterations(self.runner)
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self._decide_current_val_interval()
        if self._iter > 0:
            self._validate(self._validation_due())
        batches = self._endless_batches()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(batches))
            self._decide_current_val_interval()
            self._validate(self._validation_due())
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _endless_batches(self) -> Iterator[Any]:
        while True:  # the only pass of an InfiniteSampler never ends, others begin again
            for _, batch in self._rest_of_pass():
                yield batch

    def _validation_due(self) -> bool:
        at_interval = self._iter % self.val_interval == 0 or self._iter == self._max_iters
        return self._iter >= self.val_begin and at_interval


@LOOPS.register_module()
class EpochBasedTrainLoop(_Resumable, MMEngineEpochLoop):
    """MMEngine's loop over epochs, with exact resumption, also within an epoch, and pre-emption.

    See :class:`IterBasedTrainLoop`.

    Args:
        runner (Runner): Runner of the run.
        dataloader (DataLoader | dict): Training data.
        **kwargs: As in ``mmengine.runner.EpochBasedTrainLoop``: max_epochs, val_begin,
            val_interval, dynamic_intervals.

    Raises:
        ConfigError: If an epoch would never end.
    """

    def _run(self) -> nn.Module:
        check_sampler(self.dataloader)
        self.runner.call_hook('before_train')
        self._decide_current_val_interval()
        if self._epoch > 0 and self.batches_done == 0:
            self._validate(self._validation_due())
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self._validate(self._validation_due())
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train for what is left of an epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for place, batch in self._rest_of_pass():
            self.run_iter(place, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _validation_due(self) -> bool:
        at_interval = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        return self._epoch >= self.val_begin and at_interval


def log_at_iterations(runner: Runner) -> None:
    """Let metrics be logged at the iteration: in a run by iterations all epochs are 0.

    Args:
        runner (Runner): Runner of a run by iterations.
    """
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook) and hook.log_metric_by_epoch:
            hook.log_metric_by_epoch = False
            print_log('metrics are logged at the iteration: the run counts no epochs', 'current')


def check_sampler(dataloader: DataLoader) -> None:
    """Check that an epoch of a data loader ends.

    Args:
        dataloader (DataLoader): Training data of a loop over epochs.

    Raises:
        ConfigError: If the sampler never ends.
    """
    batches: Any = dataloader.batch_sampler
    samplers = (batches, getattr(batches, 'sampler', None), dataloader.sampler)
    kinds = {base.__name__ for sampler in samplers for base in type(sampler).__mro__}
    endless = sorted(kinds.intersection(ENDLESS))
    if endless:
        raise ConfigError(
            f'train_cfg counts epochs and train_dataloader.sampler is an {endless[0]}, so the '
            'first epoch would never end: set '
            "train_dataloader.sampler=dict(type='DefaultSampler', shuffle=True), or count "
            'iterations with train_cfg.max_iters'
        )
