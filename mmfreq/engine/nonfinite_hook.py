"""Steps that must not happen: losses and gradients that are not finite."""

import logging
import math
from typing import Any

import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import get_total_norm

from mmfreq.engine.agreement import Agreement
from mmfreq.registry import HOOKS
from mmfreq.utils.names import enumerate_names

__all__ = ['NonFiniteLossError', 'NonFiniteLossHook']

SKIPPED = 'skipped_steps'  # in the message hub, and so in checkpoints


class NonFiniteLossError(RuntimeError):
    """Too many steps of a run had a loss or gradients that are not finite."""


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Skips optimiser steps with gradients that are not finite, and stops a run that has many.

    A loss of NaN would make every weight NaN, and so every later checkpoint. Such a step is left
    out on all processes, the running statistics of batch norms are put back, and the files of the
    batch are logged. Steps that the loss scaling of mixed precision leaves out are not counted.

    Args:
        max_skipped (int): The run ends when so many steps were skipped. Defaults to 10.
    """

    def __init__(self, max_skipped: int = 10) -> None:
        if max_skipped < 1:
            raise ValueError(f'max_skipped must be at least 1, got {max_skipped}')
        self.max_skipped = max_skipped
        self._skipped = False
        self._statistics: list[tuple[Tensor, Tensor]] = []

    def before_train(self, runner: Runner) -> None:
        """Watch the optimiser.

        Args:
            runner (Runner): Runner of the run.
        """
        self.agreement = Agreement()
        runner.optim_wrapper.optimizer.register_step_pre_hook(self._check_gradients)
        self._norms = [m for m in runner.model.modules() if isinstance(m, _BatchNorm)]

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Keep the running statistics.

        Args:
            runner (Runner): Runner of the run.
            *args: Not used.
            **kwargs: Not used.
        """
        buffers = [b for m in self._norms for b in (m.running_mean, m.running_var) if b is not None]
        self._statistics = [(buffer, buffer.clone()) for buffer in buffers]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Count a skipped step and name its files.

        Args:
            runner (Runner): Runner of the run.
            batch_idx (int): Number of the batch.
            data_batch (Any): The batch.
            outputs (Any): Losses by name.

        Raises:
            NonFiniteLossError: If too many steps were skipped.
        """
        if not self._skipped:
            return
        self._skipped = False
        for buffer, kept in self._statistics:
            buffer.copy_(kept)
        loss = outputs['loss'].item()
        batches = all_gather_object((math.isfinite(loss), loss, _files(data_batch)))
        # Those with a broken loss; all, if it is only in the gradients.
        guilty = [batch for batch in batches if not batch[0]] or batches
        files = enumerate_names([name for _, _, names in guilty for name in names], most=16)
        hub = runner.message_hub
        count = int(hub.runtime_info.get(SKIPPED, 0)) + 1
        hub.update_info(SKIPPED, count)
        what = f'the loss is {guilty[0][1]:g}' if not guilty[0][0] else 'a gradient is not finite'
        message = f'step {runner.iter + 1} is skipped, {what}; its batch: {files}'
        if count >= self.max_skipped:
            raise NonFiniteLossError(
                f'{message}. These are {count} such steps, {self.max_skipped} end the run; the '
                'last checkpoint has finite weights. Look at these files, lower the learning rate, '
                'or set default_hooks.nonfinite.max_skipped'
            )
        print_log(f'{message} ({count} of {self.max_skipped})', 'current', logging.WARNING)

    def _check_gradients(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group['params']]
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return
        self._skipped = self.agreement.any(not bool(get_total_norm(gradients).isfinite()))
        if self._skipped:
            for parameter in parameters:
                parameter.grad = None  # which every optimiser takes as: leave this one


def _files(batch: Any) -> list[str]:
    samples = batch.get('data_samples', []) if isinstance(batch, dict) else []
    return [sample.metainfo.get('img_path', 'a sample without a file') for sample in samples]
