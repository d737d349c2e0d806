import os

import pytest
import torch
from mmengine.config import Config

from mmfreq.engine.launch import LAUNCHERS, adapt_to_cpus, prepare_distributed

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')


@pytest.mark.parametrize('launcher', LAUNCHERS[1:])
def test_missing_launcher_is_explained(launcher, monkeypatch):
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=f'--launcher {launcher} needs .*start the tool with'):
        prepare_distributed(Config(), launcher)


@pytest.mark.parametrize(
    'variables',
    [
        dict(RANK='0', WORLD_SIZE='1', LOCAL_RANK='0'),
        dict(
            SLURM_PROCID='0',
            SLURM_NTASKS='1',
            SLURM_LOCALID='0',
            SLURM_JOB_NODELIST='n1',
            SLURM_JOB_ID='7',
        ),
        dict(OMPI_COMM_WORLD_RANK='0', OMPI_COMM_WORLD_SIZE='1', OMPI_COMM_WORLD_LOCAL_RANK='0'),
    ],
    ids=LAUNCHERS[1:],
)
def test_starts_gloo_without_a_gpu(variables, request, monkeypatch, unused_port):
    launcher = request.node.callspec.id
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, 'unset')
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.setenv('MASTER_PORT', str(unused_port))
    cfg = Config(dict(model=dict(norms=[dict(type='SyncBN'), dict(type='LN')])))
    try:
        prepare_distributed(cfg, launcher)
        assert torch.distributed.get_backend() == 'gloo'
        assert [norm.type for norm in cfg.model.norms] == ['mmfreq.CPUSyncBN', 'LN']
        assert cfg.model_wrapper_cfg.device_ids is None
        assert cfg.launcher == launcher
    finally:
        torch.distributed.destroy_process_group()


@pytest.fixture
def group(monkeypatch):
    """Records what the process group would be started with."""
    asked = []
    monkeypatch.setattr(
        torch.distributed, 'init_process_group', lambda backend, **_: asked.append(backend)
    )
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, 'unset')
        monkeypatch.delenv(name)
    return asked


def slurm(monkeypatch, job, step=0):
    for name, value in dict(
        PROCID='1', NTASKS='2', LOCALID='1', JOB_ID=job, STEP_ID=step, JOB_NODELIST='n[1-2]'
    ).items():
        monkeypatch.setenv(f'SLURM_{name}', str(value))


@pytest.mark.parametrize(('visible', 'device'), [(1, 0), (4, 1)])
def test_processes_use_the_gpu_they_see(group, monkeypatch, visible, device):
    """With --gpus-per-task=1 every process sees one, its number 0."""
    used = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: visible)
    monkeypatch.setattr(torch.cuda, 'set_device', used.append)
    monkeypatch.setenv('MASTER_ADDR', 'n1')
    slurm(monkeypatch, 7)  # local rank 1
    prepare_distributed(Config(), 'slurm')
    assert used == [device] and os.environ['LOCAL_RANK'] == str(device) and group == ['nccl']


def test_ports_follow_from_the_job(group, monkeypatch):
    monkeypatch.setenv('MASTER_ADDR', 'n1')
    ports = set()
    for job in (7, 8, 123456):
        for step in (0, 1):
            slurm(monkeypatch, job, step)
            monkeypatch.delenv('MASTER_PORT', raising=False)
            prepare_distributed(Config(), 'slurm')
            ports.add(int(os.environ['MASTER_PORT']))
    assert len(ports) == 6
    assert all(10000 <= port < 30000 for port in ports), 'not one that the system gives out'
    assert group == ['gloo'] * 6


def test_the_first_host_without_scontrol(group, monkeypatch, tmp_path):
    slurm(monkeypatch, 7)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ValueError, match=r'scontrol is not installed .* n\[1-2\].*MASTER_ADDR'):
        prepare_distributed(Config(), 'slurm')
    monkeypatch.setenv('MASTER_ADDR', '10.0.0.1')
    prepare_distributed(Config(), 'slurm')
    assert os.environ['MASTER_ADDR'] == '10.0.0.1' and os.environ['RANK'] == '1'
    monkeypatch.delenv('MASTER_ADDR')
    (tmp_path / 'scontrol').write_text('#!/bin/sh\necho n1\necho n2\n')
    (tmp_path / 'scontrol').chmod(0o755)
    prepare_distributed(Config(), 'slurm')
    assert os.environ['MASTER_ADDR'] == 'n1'


def test_mpi_on_several_nodes_needs_an_address(group, monkeypatch):
    for name, value in dict(RANK=0, SIZE=4, LOCAL_RANK=0, LOCAL_SIZE=2).items():
        monkeypatch.setenv(f'OMPI_COMM_WORLD_{name}', str(value))
    with pytest.raises(ValueError, match='several nodes needs MASTER_ADDR'):
        prepare_distributed(Config(), 'mpi')
    monkeypatch.setenv('OMPI_COMM_WORLD_LOCAL_SIZE', '4')
    prepare_distributed(Config(), 'mpi')
    assert os.environ['MASTER_ADDR'] == '127.0.0.1'


def test_a_wrapper_of_the_config_is_kept():
    cfg = Config(dict(model_wrapper_cfg=dict(find_unused_parameters=True, static_graph=True)))
    adapt_to_cpus(cfg)
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        find_unused_parameters=True,
        static_graph=True,
        broadcast_buffers=False,
        device_ids=None,
    )
    sharded = dict(type='MMFullyShardedDataParallel', device_id='cpu')
    cfg = Config(dict(model_wrapper_cfg=sharded))
    adapt_to_cpus(cfg)
    assert cfg.model_wrapper_cfg == sharded


def test_processes_of_one_machine_need_no_address(group, monkeypatch):
    for name, value in dict(RANK='0', WORLD_SIZE='2', LOCAL_RANK='0').items():
        monkeypatch.setenv(name, value)
    prepare_distributed(Config(), 'pytorch')
    assert (os.environ['MASTER_ADDR'], os.environ['MASTER_PORT']) == ('127.0.0.1', '29500')
