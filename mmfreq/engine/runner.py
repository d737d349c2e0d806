"""MMEngine's runner on clusters: one log per job, workers that outlive a signal."""

import os
from functools import partial
from typing import Any

from mmengine.device import get_device
from mmengine.runner import Runner as MMEngineRunner
from torch.utils.data import DataLoader

from mmfreq import preemption
from mmfreq.utils.memory import keep_freed_memory

__all__ = ['Runner']


class Runner(MMEngineRunner):
    """MMEngine's runner, for clusters that interrupt jobs.

    MMEngine gives each start a folder and a log named by the time. Under ``--launcher slurm`` they
    are named ``slurm_<job id>``, and a requeued job appends to them. Workers of data loaders
    outlive the signals of a pre-emption.

    Args:
        *args: As in ``mmengine.runner.Runner``.
        **kwargs: As in ``mmengine.runner.Runner``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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
            DataLoader: With workers that outlive SIGUSR1 and SIGTERM of a cluster.
        """
        loader = MMEngineRunner.build_dataloader(dataloader, *args, **kwargs)
        loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)
        return loader

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


def _start_worker(then: Any, worker: int) -> None:
    preemption.serve()
    if then is not None:
        then(worker)
