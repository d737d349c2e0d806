"""Several processes against one that has the whole batch; test_several.py runs it.

python -m torch.distributed.run --nproc_per_node 4 tests/engine/several.py
"""

import sys
from copy import deepcopy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import get_rank, get_world_size
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from families import TINY

from mmfreq.engine.launch import finish_distributed, prepare_distributed
from mmfreq.models import CPUSyncBN

WHOLE = 4  # images


class Net(BaseModel):
    """A backbone, a batch norm, and a loss that is a mean over images."""

    def __init__(self, family: str) -> None:
        super().__init__()
        self.backbone = TINY[family]()
        channels = self.backbone(torch.zeros(1, 3, 64, 64))[-1].shape[1]
        self.norm = nn.BatchNorm2d(channels)

    def forward(
        self, inputs: torch.Tensor, data_samples: object = None, mode: str = 'loss'
    ) -> dict:
        maps = self.backbone(inputs)
        loss = sum(m.square().mean() for m in maps) + self.norm(maps[-1]).abs().pow(3).mean()
        return {'loss': loss}


def networks(family: str) -> tuple[Net, Net]:
    """The same network twice: plain, and with norms that synchronise."""
    torch.manual_seed(0)
    plain = Net(family).double().train()
    plain.init_weights()  # once, here: strategies would do it again
    synchronised = deepcopy(plain)
    for module in synchronised.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = CPUSyncBN
    return plain, synchronised


def wrapped(model: nn.Module) -> nn.Module:
    return MMDistributedDataParallel(model, broadcast_buffers=False)


def check_gradients(family: str, images: torch.Tensor, own: torch.Tensor) -> None:
    plain, synchronised = networks(family)
    plain(images)['loss'].backward()
    parallel = wrapped(synchronised)  # its hooks live as long as it does
    parallel(own)['loss'].backward()
    # Some gradients are zero but for rounding, of biases before a norm: hence the network's scale.
    noise = 1e-12 * max(float(parameter.grad.abs().max()) for parameter in plain.parameters())
    for (name, parameter), other in zip(
        plain.named_parameters(), synchronised.parameters(), strict=True
    ):
        difference = (other.grad - parameter.grad).abs().max()
        assert difference < 1e-9 * parameter.grad.abs().max() + noise, (family, name)
    statistics = dict(synchronised.named_buffers())
    for name, buffer in plain.named_buffers():
        if '.attention.bn.' in name:
            continue  # FDConv's attention normalises one value per image, as its authors' does
        torch.testing.assert_close(statistics[name], buffer, rtol=1e-9, atol=1e-12)


def check_accumulation(family: str, images: torch.Tensor, own: torch.Tensor) -> None:
    """Two halves of a process's part, then one step; norms that do not mix images."""
    plain, synchronised = networks(family)
    for model in (plain, synchronised):
        model.norm = nn.Identity()
    parallel = wrapped(synchronised)
    options = dict(lr=0.1)
    one = OptimWrapper(torch.optim.SGD(plain.parameters(), **options))
    plain.train_step(dict(inputs=images), one)
    several = OptimWrapper(torch.optim.SGD(synchronised.parameters(), **options), 2)
    several.initialize_count_status(parallel, 0, 2)
    before = [parameter.clone() for parameter in synchronised.parameters()]
    parallel.train_step(dict(inputs=own[: len(own) // 2]), several)
    assert all(map(torch.equal, before, synchronised.parameters())), 'no step in between'
    parallel.train_step(dict(inputs=own[len(own) // 2 :]), several)
    for parameter, other in zip(plain.parameters(), synchronised.parameters(), strict=True):
        torch.testing.assert_close(other, parameter, rtol=1e-9, atol=1e-12)


def check_sharding(family: str, images: torch.Tensor, own: torch.Tensor) -> None:
    """One step with MMEngine's strategy for FSDP."""
    from mmengine._strategy import FSDPStrategy

    plain, synchronised = networks(family)
    one = OptimWrapper(torch.optim.SGD(plain.parameters(), lr=0.1))
    plain.train_step(dict(inputs=images), one)
    wrapper = dict(type='MMFullyShardedDataParallel', device_id=torch.device('cpu'))
    strategy = FSDPStrategy(model_wrapper=wrapper)
    model, optim_wrapper = strategy.prepare(
        synchronised, optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1))
    )[:2]
    whole = sum(parameter.numel() for parameter in plain.parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) < whole, 'a part of them'
    model.train_step(dict(inputs=own), optim_wrapper)
    with model.summon_full_params(model, writeback=False):
        for parameter, other in zip(plain.parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(other.detach(), parameter.detach(), rtol=1e-9, atol=1e-12)


def main() -> None:
    """Run all checks."""
    prepare_distributed(Config(), 'pytorch')
    torch.manual_seed(1)
    images = torch.randn(2 * WHOLE, 3, 64, 64, dtype=torch.float64)
    part = WHOLE // get_world_size()
    own = images[:WHOLE][part * get_rank() : part * (get_rank() + 1)]
    for family in TINY:
        check_gradients(family, images[:WHOLE], own)
        if get_rank() == 0:
            print('same gradients', family, flush=True)
    part *= 2
    check_accumulation('GFNet', images, images[part * get_rank() : part * (get_rank() + 1)])
    if get_world_size() == 2:
        check_sharding('GFNet', images[:WHOLE], own)
    if get_rank() == 0:
        print('all same', flush=True)
    finish_distributed()


if __name__ == '__main__':
    main()
