"""MMEngine's runner, which stops where a run would be another one than its config says."""

import logging
import os
from functools import partial
from typing import Any

from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import DATASETS
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop
from mmengine.runner import Runner as MMEngineRunner
from mmengine.runner.checkpoint import CheckpointLoader, load_state_dict
from torch.utils.data import DataLoader

from mmfreq import preemption
from mmfreq.engine.checkpoint_hook import CheckpointHook
from mmfreq.engine.data_check_hook import unwrapped
from mmfreq.engine.layer_decay import check_paramwise
from mmfreq.engine.loops import check_sampler, log_at_iterations
from mmfreq.engine.plain_checkpoints import PlainCheckpointHook
from mmfreq.engine.pretrained import check_fit, check_loaded
from mmfreq.models.pretrained import load_whole, without_wrapper
from mmfreq.utils.checkpoint import find_weights
from mmfreq.utils.config_tree import find_data_sets
from mmfreq.utils.errors import DataError
from mmfreq.utils.memory import keep_freed_memory
from mmfreq.utils.named_errors import explain_empty, name_errors
from mmfreq.utils.names import enumerate_names

__all__ = ['Runner']


class Runner(MMEngineRunner):
    """MMEngine's runner, for clusters that interrupt jobs and for configs of any library.

    MMEngine gives each start a folder and a log named by the time. Under ``--launcher slurm`` they
    are named ``slurm_<job id>``, and a requeued job appends to them. Workers of data loaders
    outlive the signals of a pre-emption.

    MMEngine loads whatever fits of a checkpoint and warns about the rest. Here a test and a resumed
    run need a checkpoint of the whole model, and one to start from must have something of it.

    Args:
        *args: As in ``mmengine.runner.Runner``.
        **kwargs: As in ``mmengine.runner.Runner``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._needs_whole_model = False
        if not any(isinstance(hook, CheckpointHook) for hook in self.hooks):  # does the same
            self.register_hook(PlainCheckpointHook())
        self.register_hook(_SayFinished())
        if self.launcher == 'slurm':
            job, tasks = os.environ['SLURM_JOB_ID'], os.environ['SLURM_NTASKS']
            restarts = os.environ.get('SLURM_RESTART_COUNT', '0')
            nodes = os.environ.get('SLURM_JOB_NODELIST', 'unknown')
            self.logger.info(
                f'Slurm job {job}, requeued {restarts} times; {tasks} tasks on {nodes}'
            )

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict, *args: Any, **kwargs: Any) -> DataLoader:
        """Build a data loader.

        Args:
            dataloader (DataLoader | dict): As in MMEngine.
            *args: As in MMEngine.
            **kwargs: As in MMEngine.

        Returns:
            DataLoader: With workers that outlive SIGUSR1 and SIGTERM of a cluster, and data whose
            errors name the files that they are about.

        Raises:
            DataError: If a data set has no samples.
        """
        try:
            loader = MMEngineRunner.build_dataloader(dataloader, *args, **kwargs)
        except ValueError as error:
            if 'need at least one array' in str(error):  # numpy, of an empty list of samples
                raise DataError(_why_empty(dataloader)) from error
            raise
        if len(loader.dataset) == 0:
            raise DataError(_why_empty(dataloader))
        name_errors(loader.dataset)
        loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)
        return loader

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop.

        Args:
            loop (BaseLoop | dict): As in MMEngine.

        Returns:
            BaseLoop: As in MMEngine.

        Raises:
            ConfigError: If an epoch of it would never end.
        """
        built = super().build_train_loop(loop)
        if isinstance(built, EpochBasedTrainLoop):
            check_sampler(built.dataloader)
        if isinstance(built, IterBasedTrainLoop):
            log_at_iterations(self)
        return built

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Build the optimiser and its wrapper.

        Args:
            optim_wrapper (Any): As in MMEngine.

        Returns:
            Any: As in MMEngine.

        Raises:
            ConfigError: If an option for single parameters is unknown.
        """
        if isinstance(optim_wrapper, dict) and not isinstance(optim_wrapper, OptimWrapper):
            check_paramwise(optim_wrapper, unwrapped(self.model))
        return super().build_optim_wrapper(optim_wrapper)

    def test(self) -> dict[str, float]:
        """Test, with a checkpoint of the whole model.

        Returns:
            dict[str, float]: Metrics.
        """
        self._needs_whole_model = True
        return super().test()

    def resume(self, *args: Any, **kwargs: Any) -> None:
        """Go on from a checkpoint of the whole model.

        Args:
            *args: As in MMEngine.
            **kwargs: As in MMEngine.
        """
        self._needs_whole_model = True
        super().resume(*args, **kwargs)

    def load_checkpoint(self, filename: str, map_location: Any = 'cpu', **kwargs: Any) -> dict:
        """Load a checkpoint into the model.

        Args:
            filename (str): Path or address.
            map_location (Any): As in MMEngine. Defaults to ``'cpu'``.
            **kwargs: As in MMEngine; of no effect here.

        Returns:
            dict: Content of the checkpoint.

        Raises:
            CheckpointError: If it does not hold the whole model where it must, or nothing of it.
        """
        model = unwrapped(self.model)
        checkpoint = CheckpointLoader.load_checkpoint(filename, map_location, self.logger)
        if not isinstance(checkpoint.get('state_dict'), dict):  # where hooks expect it
            checkpoint['state_dict'] = find_weights(checkpoint, filename)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        weights = without_wrapper(find_weights(checkpoint, filename))
        if self._needs_whole_model:
            name = f'this {type(model).__name__}'
            load_whole(model, weights, filename, name, same_sizes=self._resume)
            self._compare_classes(checkpoint, filename)
        else:
            check_fit(model, weights, filename)
            load_state_dict(model, weights, strict=False, logger=self.logger)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def _compare_classes(self, checkpoint: dict, filename: str) -> None:
        """Log that a checkpoint names other classes than the data."""
        meta = checkpoint.get('meta')
        stored = meta.get('dataset_meta') if isinstance(meta, dict) else None
        theirs = stored.get('classes') if isinstance(stored, dict) else None
        loop = self._test_loop if isinstance(self._test_loop, BaseLoop) else self._train_loop
        own = getattr(loop.dataloader.dataset, 'metainfo', None)
        ours = own.get('classes') if isinstance(own, dict) else None
        if isinstance(theirs, (list, tuple)) and ours and list(theirs) != list(ours):
            print_log(
                f'{filename} was trained on other classes than those of the data\n'
                f'  checkpoint: {enumerate_names([str(name) for name in theirs], 20)}\n'
                f'  data: {enumerate_names(list(ours), 20)}',
                'current',
                logging.WARNING,
            )

    def setup_env(self, env_cfg: dict) -> None:
        """Set up processes, memory and randomness, and name the folder of the log.

        Args:
            env_cfg (dict): As in MMEngine.
        """
        super().setup_env(env_cfg)
        if get_device() == 'cpu':
            keep_freed_memory()
        if self.launcher == 'slurm':
            self._timestamp = f'slurm_{os.environ["SLURM_JOB_ID"]}'

    def _init_model_weights(self) -> None:
        if self._resume and self._load_from is not None:
            return  # all weights come from the checkpoint; a pretrained one may be gone
        super()._init_model_weights()
        check_loaded(unwrapped(self.model))


class _SayFinished(Hook):
    """Says that a resumed run has nothing left to do."""

    def before_train(self, runner: MMEngineRunner) -> None:
        loop = runner.train_loop
        unit = 'epoch' if isinstance(loop, EpochBasedTrainLoop) else 'iter'
        done, most = getattr(loop, unit), getattr(loop, f'max_{unit}s')
        if done >= most:
            print_log(
                f'the run is finished: {done} of {most} {unit}s are done; raise '
                f'train_cfg.max_{unit}s to train longer',
                'current',
            )


def _why_empty(dataloader: DataLoader | dict) -> str:
    """Message about the first empty data set of a loader."""
    if isinstance(dataloader, DataLoader):
        return explain_empty(dataloader.dataset)
    reasons = []
    for node in find_data_sets(dict(train_dataloader=dataloader)).values():
        dataset = DATASETS.build({**node, 'lazy_init': True})
        reasons.append(explain_empty(dataset))
        if not dataset.load_data_list():
            return reasons[-1]
    return reasons[0] if reasons else 'the data set is empty'


def _start_worker(then: Any, worker: int) -> None:
    preemption.serve()
    if then is not None:
        then(worker)
