"""Layers that several networks are built from."""

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import Conv2dAdaptivePadding, DropPath
from torch import Tensor, nn

from mmfreq.ops.choice import check_backend
from mmfreq.ops.layout import to_channels_last

__all__ = [
    'ConvDownsample',
    'PatchEmbed',
    'SpectralModule',
    'apply_norm',
    'build_drop_path',
    'move_channels_first',
    'move_channels_last',
    'resize_positions',
    'set_backend',
]


class SpectralModule(nn.Module):
    """Base of modules that compute a spectral operation.

    Attributes:
        backend (str): What computes it, see :mod:`mmfreq.ops.choice`; set for all modules of a
            network by :func:`set_backend`.
    """

    backend: str = 'auto'


def set_backend(network: nn.Module, backend: str) -> None:
    """Choose what computes the spectral operations of a network from now on.

    Args:
        network (nn.Module): A network with :class:`SpectralModule` among its modules.
        backend (str): See :mod:`mmfreq.ops.choice`.

    Raises:
        ValueError: If ``backend`` is unknown.
    """
    check_backend(backend)
    for module in network.modules():
        if isinstance(module, SpectralModule):
            module.backend = backend


class PatchEmbed(nn.Module):
    """Non-overlapping patches through a linear layer, plus learned absolute positions.

    Images that the patch size does not divide are zero-padded, so that no pixel is lost. Positions
    are interpolated to other sizes than the stored one.

    Args:
        in_channels (int): Number of channels of images.
        dim (int): Number of output channels ``C``.
        patch_size (int): Side of a patch in pixels.
        size (tuple[int, int]): Size ``(h, w)``, in patches, that positions are stored for.
    """

    def __init__(self, in_channels: int, dim: int, patch_size: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.proj = Conv2dAdaptivePadding(in_channels, dim, patch_size, stride=patch_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, *size, dim))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, in_channels, H, W)`` to features ``(B, C, h, w)``."""
        x = move_channels_last(self.proj(x))
        x = x + resize_positions(self.pos_embed, (x.shape[1], x.shape[2]))
        return x.permute(0, 3, 1, 2)


class ConvDownsample(nn.Module):
    """Overlapping strided convolution with a layer norm before or behind it.

    As in MetaFormer's baselines, arXiv 2210.13452, whose norms have no bias.

    Args:
        in_dim (int): Number of input channels.
        dim (int): Number of output channels.
        kernel_size (int): Side of the kernel.
        stride (int): Stride.
        padding (int): Zero padding on each side.
        norm_first (bool): Whether the norm comes before the convolution. Defaults to True.
        norm_bias (bool): Whether the norm has a bias. Defaults to False.
        norm_eps (float): What the norm adds to variances. Defaults to 1e-6.
        bias (bool): Whether the convolution has a bias. Defaults to True.
    """

    def __init__(
        self,
        in_dim: int,
        dim: int,
        kernel_size: int = 3,
        stride: int = 2,
        padding: int = 1,
        norm_first: bool = True,
        norm_bias: bool = False,
        norm_eps: float = 1e-6,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm = nn.LayerNorm(in_dim if norm_first else dim, eps=norm_eps, bias=norm_bias)
        self.conv = nn.Conv2d(in_dim, dim, kernel_size, stride, padding, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, C, H, W)`` to smaller ones; tiny maps are zero-padded to one pixel."""
        if self.norm_first:
            return self.conv(self._at_least_one_output(apply_norm(self.norm, x)))
        return apply_norm(self.norm, self.conv(self._at_least_one_output(x)))

    def _at_least_one_output(self, x: Tensor) -> Tensor:
        least = self.conv.kernel_size[0] - 2 * int(self.conv.padding[0])
        missing = [max(least - side, 0) for side in x.shape[-2:]]
        return F.pad(x, (0, missing[1], 0, missing[0])) if any(missing) else x


def build_drop_path(probability: float) -> nn.Module:
    """Stochastic depth, or nothing at all for a probability of 0."""
    return DropPath(probability) if probability > 0 else nn.Identity()


def apply_norm(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a norm over channels to features ``(B, C, H, W)``; a layer norm is channels-last."""
    if type(norm) is nn.LayerNorm:
        return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return norm(x)


def resize_positions(positions: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize position embeddings: bicubic with unaligned corners, as in GFNet's fine-tuning.

    Args:
        positions (Tensor): Position embeddings of shape ``(1, h, w, C)``.
        size (tuple[int, int]): Wanted size ``(H, W)``.

    Returns:
        Tensor: Position embeddings of shape ``(1, H, W, C)``.
    """
    if positions.shape[1:3] == size:
        return positions
    resized = F.interpolate(
        positions.permute(0, 3, 1, 2), size=size, mode='bicubic', align_corners=False
    )
    return resized.permute(0, 2, 3, 1)


def move_channels_last(x: Tensor) -> Tensor:
    """``(B, C, H, W)`` to contiguous ``(B, H, W, C)``."""
    return to_channels_last(x, x.dtype).permute(0, 2, 3, 1)


def move_channels_first(x: Tensor) -> Tensor:
    """``(B, H, W, C)`` to ``(B, C, H, W)`` without a copy: channels-last in memory."""
    return x.permute(0, 3, 1, 2)
