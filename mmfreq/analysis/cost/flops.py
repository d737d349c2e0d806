"""Counting parameters and operations of a network, with none left out silently."""

from dataclasses import dataclass, field

import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

from mmfreq.analysis.cost.operator_costs import FREE_OPERATORS, Convention, operator_costs

__all__ = ['Cost', 'Part', 'count_cost', 'count_params']


@dataclass
class Part:
    """Cost of a part of a network.

    Attributes:
        params (int): Number of parameters.
        flops (int): Operations, in the unit of the convention.
    """

    params: int
    flops: int


@dataclass
class Cost(Part):
    """Cost of a network.

    Attributes:
        parts (dict[str, Part]): Cost of each module at the top; heads that only train have
            parameters, but no operations.
        operators (dict[str, int]): Operations by operator.
        uncounted (dict[str, int]): Operators without a known cost, and how often each was called.
            Empty unless the network has operators that this library has not met.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    operators: dict[str, int] = field(default_factory=dict)
    uncounted: dict[str, int] = field(default_factory=dict)


def count_params(module: nn.Module) -> int:
    """Number of parameters of a module, frozen ones included."""
    return sum(param.numel() for param in module.parameters())


def count_cost(network: nn.Module, images: Tensor, convention: Convention) -> Cost:
    """Count parameters and operations of a forward pass.

    The pass is one with filters made for these images: cached ones are not used, so filters stored
    for another size cost their interpolation.

    Args:
        network (nn.Module): Called with ``images``. It is put into evaluation mode.
        images (Tensor): Images of shape ``(1, C, H, W)``.
        convention (Convention): How operations are counted.

    Returns:
        Cost: Parameters and operations, in all and by part.
    """
    network.eval()
    with torch.no_grad():
        network(images)  # what is made once and kept, such as cosine matrices, does not count
    analysis = FlopCountAnalysis(network, images)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings('none')
    analysis.clear_op_handles()  # fvcore's own, some of which guess
    analysis.set_op_handle(**operator_costs(convention))
    trained = [param for param in network.parameters() if param.requires_grad]
    try:
        for param in trained:
            param.requires_grad_(False)  # saves the memory of a backward pass
        with torch.enable_grad():  # resized filters are cached without gradients only
            operators = analysis.by_operator()
    finally:
        for param in trained:
            param.requires_grad_(True)
    by_module = analysis.by_module()
    unsupported = analysis.unsupported_ops()
    return Cost(
        count_params(network),
        round(analysis.total()),
        {
            name: Part(count_params(module), round(by_module[name]))
            for name, module in network.named_children()
        },
        {name: round(flops) for name, flops in operators.most_common() if flops},
        {name: unsupported[name] for name in unsupported if name not in FREE_OPERATORS},
    )
