"""Start and end of distributed runs, with and without GPUs."""

import gc
import os
import shutil
import subprocess
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.logging import print_log
from torch import distributed

from mmfreq.utils.config_tree import map_leaves

__all__ = ['LAUNCHERS', 'adapt_to_cpus', 'finish_distributed', 'prepare_distributed']

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')

# Where each launcher says which of how many processes this one is: rank, world size, local rank.
_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}


def prepare_distributed(cfg: Config, launcher: str) -> None:
    """Start the process group of a launcher, and make a config ready for it.

    MMEngine, which would do it later, needs a GPU per process on every node, ``scontrol`` and one
    port for all. Here processes that see one GPU each (``--gpus-per-task=1``) use it, those without
    a GPU talk by gloo and synchronise their batch norms on CPUs, and the port of a Slurm job
    depends on its number, so that two jobs can share a node.

    Args:
        cfg (Config): Config of the run, changed in place.
        launcher (str): One of ``LAUNCHERS``.

    Raises:
        ValueError: If the launcher did not set its environment variables, or the first host of a
            job cannot be found.
    """
    cfg.launcher = launcher
    if launcher == 'none':
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
    if 'MASTER_ADDR' not in os.environ:
        first_host = dict(slurm=_first_slurm_host, mpi=_only_mpi_host).get(launcher)
        os.environ['MASTER_ADDR'] = first_host() if first_host else '127.0.0.1'
    if 'MASTER_PORT' not in os.environ:
        os.environ['MASTER_PORT'] = _slurm_port() if launcher == 'slurm' else '29500'

    options = dict(cfg.get('env_cfg', {}).get('dist_cfg', {}))
    timeout = timedelta(seconds=options.pop('timeout')) if 'timeout' in options else None
    if torch.cuda.is_available():
        device = int(os.environ['LOCAL_RANK']) % torch.cuda.device_count()
        os.environ['LOCAL_RANK'] = str(device)  # from which MMEngine takes the device
        torch.cuda.set_device(device)
        distributed.init_process_group(options.get('backend', 'nccl'), timeout=timeout)
    else:
        if 'OMP_NUM_THREADS' not in os.environ:  # or each process would take all cores
            torch.set_num_threads(int(os.environ.get('SLURM_CPUS_PER_TASK', 1)))
        distributed.init_process_group('gloo', timeout=timeout)
        adapt_to_cpus(cfg)


def adapt_to_cpus(cfg: Config) -> None:
    """Make a config ready for several processes without GPUs.

    Args:
        cfg (Config): Config, changed in place: no devices for the model wrapper, and batch norms
            that synchronise on CPUs in place of those that need GPUs.
    """
    wrapper = dict(type='MMDistributedDataParallel') | (cfg.get('model_wrapper_cfg') or {})
    if wrapper['type'] == 'MMDistributedDataParallel':
        unused = cfg.get('find_unused_parameters', False)
        wrapper = dict(broadcast_buffers=False, find_unused_parameters=unused) | wrapper
        wrapper['device_ids'] = None
    cfg.model_wrapper_cfg = wrapper
    replaced = []

    def on_cpus(value: object) -> object:
        if value != 'SyncBN':
            return value
        replaced.append(value)
        return 'mmfreq.CPUSyncBN'

    map_leaves(cfg._cfg_dict, on_cpus)
    if replaced:
        print_log('no GPU: SyncBN is replaced by mmfreq.CPUSyncBN', 'current')


def finish_distributed() -> None:
    """Leave the process group once nothing of the run is referenced any more.

    gloo can abort the process when a model wrapper is alive at that point, which would replace the
    exit status of a good run.
    """
    if distributed.is_available() and distributed.is_initialized():
        barrier()
        gc.collect()
        distributed.destroy_process_group()


def _first_slurm_host() -> str:
    nodes = os.environ['SLURM_JOB_NODELIST']
    command = ['scontrol', 'show', 'hostnames', nodes]
    if shutil.which(command[0]) is None:
        raise ValueError(
            f'scontrol is not installed here, so the first host of {nodes} is not known: set '
            'MASTER_ADDR to its name or address'
        )
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]


def _slurm_port() -> str:
    """A port below those that systems give out, another one for each job and step."""
    job, step = int(os.environ['SLURM_JOB_ID']), int(os.environ.get('SLURM_STEP_ID', 0))
    return str(10000 + (8 * job + step) % 20000)


def _only_mpi_host() -> str:
    if os.environ['OMPI_COMM_WORLD_SIZE'] != os.environ.get('OMPI_COMM_WORLD_LOCAL_SIZE'):
        raise ValueError(
            '--launcher mpi on several nodes needs MASTER_ADDR: the address of the node of rank 0'
        )
    return '127.0.0.1'
