"""MMEngine's runner with one log per job of a cluster."""

import os
from typing import Any

from mmengine.runner import Runner as MMEngineRunner

__all__ = ['Runner']


class Runner(MMEngineRunner):
    """MMEngine's runner; under Slurm, a job keeps its log when it is put back into the queue.

    MMEngine gives each start a folder and a log named by the time. Under ``--launcher slurm`` they
    are named ``slurm_<job id>``, and a requeued job appends to them.

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

    def setup_env(self, env_cfg: dict) -> None:
        """Set up processes and randomness, and name the folder of the log.

        Args:
            env_cfg (dict): As in MMEngine.
        """
        super().setup_env(env_cfg)
        if self.launcher == 'slurm':
            self._timestamp = f'slurm_{os.environ["SLURM_JOB_ID"]}'
