"""Layers that work on each position by itself: linear layers and their activations."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmfreq.ops.products import linear
from mmfreq.ops.tracing import is_traced

__all__ = ['GELU', 'Linear', 'Mlp', 'StarReLU']


class Linear(nn.Linear):
    """Linear layer by the fastest product, see :mod:`mmfreq.ops.products`."""

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(..., C)`` to ``(..., C')``."""
        return linear(x, self.weight, self.bias) if x.ndim == 4 else super().forward(x)


class StarReLU(nn.Module):
    """``scale * relu(x) ** 2 + bias`` with two learned scalars, arXiv 2210.13452, section 2.3.

    Training keeps the input only; without gradients the input is overwritten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element, to any shape."""
        if is_traced():
            return self.scale * F.relu(x).square() + self.bias
        if torch.is_grad_enabled():
            return _StarReLU.apply(x, self.scale, self.bias)
        return _star_relu_(x.relu_(), self.scale, self.bias)


class GELU(nn.GELU):
    """GELU that overwrites its input where there are no gradients.

    In an MLP this is a sixth of the time of GFNet-H-S on a CPU: new memory is slower than GELU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element, to any shape."""
        if torch.is_grad_enabled() or is_traced():
            return super().forward(x)
        return torch.ops.aten.gelu_(x, approximate=self.approximate)


class Mlp(nn.Module):
    """Two linear layers with an activation between them.

    Args:
        dim (int): Number of channels of input and output.
        hidden_dim (int): Number of channels between the layers.
        out_dim (int, optional): Number of channels of the output. Defaults to None: ``dim``.
        act (Callable): Makes the activation. Defaults to :class:`GELU`.
        bias (bool): Whether the linear layers have a bias. Defaults to True.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        out_dim: int | None = None,
        act: Callable[[], nn.Module] = GELU,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden_dim, bias=bias)
        self.act = act()
        self.fc2 = Linear(hidden_dim, dim if out_dim is None else out_dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(..., C)`` to features ``(..., out_dim)``."""
        return self.fc2(self.act(self.fc1(x)))


class _StarReLU(torch.autograd.Function):
    """StarReLU that keeps its input and nothing else."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale)
        return _star_relu_(F.relu(x), scale, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, scale = ctx.saved_tensors
        positive = F.relu(x)
        slope = positive * grad
        # A sum in the dtype of half precision would lose most of its terms.
        precise = torch.float64 if x.dtype == torch.float64 else torch.float32
        grad_scale = torch.linalg.vecdot(
            slope.flatten().to(precise), positive.flatten().to(precise)
        )
        return (
            slope.mul_(2 * scale.reshape(())),
            grad_scale.reshape(1).to(scale.dtype),
            grad.sum(dtype=precise).reshape(1).to(scale.dtype),
        )


def _star_relu_(positive: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    # Tensors without axes are numbers to the kernels: half precision is four times as fast.
    return positive.square_().mul_(scale.reshape(())).add_(bias.reshape(()))
