"""Layers that several networks are built from."""

import torch
from mmcv.cnn.bricks import Conv2dAdaptivePadding
from torch import Tensor, nn

__all__ = ['Mlp', 'PatchEmbed', 'resize_positions', 'to_channels_first', 'to_channels_last']


class Mlp(nn.Module):
    """Two linear layers with a GELU between them.

    Args:
        dim (int): Number of channels of input and output.
        hidden_dim (int): Number of channels between the layers.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(..., C)`` to features of the same shape."""
        return self.fc2(self.act(self.fc1(x)))


class PatchEmbed(nn.Module):
    """Non-overlapping patches through a linear layer, plus learned absolute positions.

    Images that the patch size does not divide are zero-padded, so that no pixel is lost. Positions
    are interpolated to other sizes than the stored one.

    Args:
        dim (int): Number of output channels ``C``.
        patch_size (int): Side of a patch in pixels.
        size (tuple[int, int]): Size ``(h, w)``, in patches, that positions are stored for.
    """

    def __init__(self, dim: int, patch_size: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.proj = Conv2dAdaptivePadding(3, dim, patch_size, stride=patch_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, *size, dim))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, 3, H, W)`` to features ``(B, h, w, C)``."""
        x = to_channels_last(self.proj(x))
        return x + resize_positions(self.pos_embed, (x.shape[1], x.shape[2]))


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
    resized = nn.functional.interpolate(
        positions.permute(0, 3, 1, 2), size=size, mode='bicubic', align_corners=False
    )
    return resized.permute(0, 2, 3, 1)


def to_channels_last(x: Tensor) -> Tensor:
    """``(B, C, H, W)`` to contiguous ``(B, H, W, C)``."""
    return x.permute(0, 2, 3, 1).contiguous()


def to_channels_first(x: Tensor) -> Tensor:
    """``(B, H, W, C)`` to contiguous ``(B, C, H, W)``."""
    return x.permute(0, 3, 1, 2).contiguous()
