"""Recursive gated convolution of HorNet, arXiv 2207.14284, and its global-local filter."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from mmfreq.models.layers import move_channels_first, move_channels_last
from mmfreq.models.mixers.global_filter import GlobalFilter
from mmfreq.models.pointwise import Linear

__all__ = ['DepthwiseConv', 'GlobalLocalFilter', 'RecursiveGatedConv']


class RecursiveGatedConv(nn.Module):
    """Gates of growing width, each a product of features with filtered features (gnConv).

    With ``d_k = C / 2 ** (order - 1 - k)`` channels, ``p_0`` and ``q`` are parts of a linear layer
    of the input, ``q_0 ... q_n`` those of ``scale * filter(q)``; then ``p = p_0 * q_0`` and ``p =
    linear_k(p) * q_{k + 1}``. There is no activation.

    Args:
        dim (int): Number of channels ``C``, divisible by ``2 ** (order - 1)``.
        order (int): Number of gates.
        spatial_filter (Callable): Called with a number of channels; returns what maps features
            ``(B, H, W, channels)`` to the same shape.
        scale (float): Factor behind the filter. Defaults to 1/3.

    Raises:
        ValueError: If the channels cannot be halved as often.
    """

    def __init__(
        self,
        dim: int,
        order: int,
        spatial_filter: Callable[[int], nn.Module],
        scale: float = 1 / 3,
    ) -> None:
        super().__init__()
        if order < 1 or dim % 2 ** (order - 1):
            raise ValueError(
                f'a gate of order {order} needs channels that 2 ** (order - 1) = '
                f'{2.0 ** (order - 1):g} divides, got {dim}; change embed_dims or orders of arch'
            )
        self.dims = [dim // 2**k for k in reversed(range(order))]
        self.scale = scale
        self.proj_in = Linear(dim, 2 * dim)
        self.spatial_filter = spatial_filter(sum(self.dims))
        self.expansions = nn.ModuleList(Linear(*dims) for dims in pairwise(self.dims))
        self.proj_out = Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape."""
        gate, features = self.proj_in(x).split([self.dims[0], sum(self.dims)], -1)
        first, *others = (self.scale * self.spatial_filter(features)).split(self.dims, -1)
        x = gate * first
        for expand, other in zip(self.expansions, others, strict=True):
            x = expand(x) * other
        return self.proj_out(x)


class DepthwiseConv(nn.Conv2d):
    """Depthwise convolution of channels-last features.

    Args:
        dim (int): Number of channels.
        kernel_size (int): Side of the kernel, odd.
        bias (bool): Whether it has a bias. Defaults to True.
    """

    def __init__(self, dim: int, kernel_size: int, bias: bool = True) -> None:
        super().__init__(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape."""
        x = x.contiguous()  # a part of wider features takes up to four times as long
        return move_channels_last(super().forward(move_channels_first(x)))


class GlobalLocalFilter(nn.Module):
    """Half of the channels through a depthwise 3x3 convolution, half through global filters.

    Both halves are normed together before and after; behind them channels of the two alternate. Of
    an odd number of channels, the convolution has one more.

    Args:
        dim (int): Number of channels.
        size (tuple[int, int]): Size ``(h, w)`` of the maps that the filters are stored for.
    """

    def __init__(self, dim: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.pre_norm = nn.LayerNorm(dim, eps=1e-6)
        self.local_filters = DepthwiseConv(dim - dim // 2, 3, bias=False)
        self.global_filters = GlobalFilter(dim // 2, size, interpolation='bilinear')
        self.post_norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape."""
        dim = x.shape[-1]
        nearby, everywhere = self.pre_norm(x).split([dim - dim // 2, dim // 2], -1)
        nearby, everywhere = self.local_filters(nearby), self.global_filters(everywhere)
        mixed = torch.stack([nearby[..., : dim // 2], everywhere], -1).flatten(-2)
        if dim % 2:
            mixed = torch.cat([mixed, nearby[..., -1:]], -1)
        return self.post_norm(mixed)
