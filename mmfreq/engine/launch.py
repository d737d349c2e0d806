"""Start and end of distributed runs, also on machines without a GPU."""

import gc
import os
import subprocess

import torch
from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.logging import print_log

from mmfreq.engine.run_configs import map_leaves

__all__ = ['LAUNCHERS', 'finish_distributed', 'prepare_distributed']

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')

# Where each launcher says which of how many processes this one is: rank, world size, local rank.
_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}


def prepare_distributed(cfg: Config, launcher: str) -> None:
    """Make a config ready for a launcher; without a GPU, also start the process group.

    MMEngine starts process groups on GPUs only. On a CPU this starts one with gloo, which MMEngine
    then finds and uses, and replaces synchronised batch norms, which need a GPU, by plain ones.

    Args:
        cfg (Config): Config of the run, changed in place.
        launcher (str): One of ``LAUNCHERS``.

    Raises:
        ValueError: If the launcher did not set its environment variables.
    """
    cfg.launcher = launcher
    if launcher == 'none' or torch.cuda.is_available():
        return
    missing = [name for name in _VARIABLES[launcher] if name not in os.environ]
    if missing:
        raise ValueError(
            f'--launcher {launcher} needs the environment variables {", ".join(missing)}: start '
            'the tool with tools/dist_train.sh, tools/slurm_train.sh or mpirun'
        )
    for name, source in zip(
        ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'), _VARIABLES[launcher], strict=True
    ):
        os.environ[name] = os.environ[source]
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = _first_slurm_host()
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')
    torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False
    )
    replaced = []

    def without_sync(value: object) -> object:
        if value != 'SyncBN':
            return value
        replaced.append(value)
        return 'BN'

    map_leaves(cfg._cfg_dict, without_sync)
    if replaced:
        print_log('no GPU: SyncBN is replaced by BN, statistics are per process', 'current')


def finish_distributed() -> None:
    """Leave the process group once nothing of the run is referenced any more.

    gloo can abort the process when a model wrapper is alive at that point, which would replace the
    exit status of a good run.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        barrier()
        gc.collect()
        torch.distributed.destroy_process_group()


def _first_slurm_host() -> str:
    nodes = os.environ['SLURM_JOB_NODELIST']
    command = ['scontrol', 'show', 'hostnames', nodes]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]
