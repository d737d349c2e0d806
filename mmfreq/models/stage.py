"""Stages: downsampling and a sequence of blocks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmfreq.models.layers import move_channels_first, move_channels_last

__all__ = ['ChannelsLastStage', 'Stage']


class Stage(nn.Module):
    """Optional downsampling and a sequence of blocks on ``(B, C, H, W)``.

    Args:
        downsample (nn.Module, optional): Maps ``(B, C, H, W)`` to the stage's channels and size.
        blocks (Sequence[nn.Module]): Blocks of the stage.

    Attributes:
        with_cp (bool): Recompute the blocks in the backward pass instead of storing their
            activations; False until a backbone sets it.
    """

    with_cp = False

    def __init__(self, downsample: nn.Module | None, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.downsample = downsample
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, C, H, W)`` to those of the stage, ``(B, C', H', W')``."""
        return self.run_blocks(x if self.downsample is None else self.downsample(x))

    def run_blocks(self, x: Tensor) -> Tensor:
        """Apply the blocks to features ``(B, C', H', W')``."""
        for block in self.blocks:
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(block, x, *self.shared(), use_reentrant=False)
            else:
                x = block(x, *self.shared())
        return x

    def shared(self) -> tuple[nn.Module, ...]:
        """Modules that all blocks of the stage use; blocks hand them to their token mixers."""
        return ()


class ChannelsLastStage(Stage):
    """Stage whose blocks work on channels-last features ``(B, H, W, C)``, see :class:`Stage`."""

    def run_blocks(self, x: Tensor) -> Tensor:
        """Apply the blocks to features ``(B, C', H', W')``."""
        return move_channels_first(super().run_blocks(move_channels_last(x)))
