import pytest
import torch
from mmengine.config import Config

from mmfreq.engine.launch import LAUNCHERS, prepare_distributed

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
