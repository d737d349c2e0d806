"""Looking at modules while a network runs."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ['watch']


@torch.no_grad()
def watch(
    network: nn.Module,
    images: Tensor,
    modules: Mapping[str, nn.Module],
    compute: Callable[[Any, Tensor, Tensor], Any],
) -> dict[str, Any]:
    """Run a network once, in evaluation mode, and compute something at some of its modules.

    Args:
        network (nn.Module): Any network.
        images (Tensor): Images of shape ``(B, 3, H, W)``.
        modules (Mapping[str, nn.Module]): Modules of the network by name.
        compute (Callable): Called with a module, its first input and its output.

    Returns:
        dict[str, Any]: Results by name of the module, in the order of the computation. Empty
        without modules; the network does not run then.
    """
    results: dict[str, Any] = {}

    def hook(name: str) -> Callable[..., None]:
        def call(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            results[name] = compute(module, inputs[0], output)

        return call

    if not modules:
        return results
    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    try:
        network.eval()
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    return results
