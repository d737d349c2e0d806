"""Blocks of token mixer and MLP, and stages of them; the mixer is an argument of the block.

Features are channels-last, ``(B, H, W, C)``, inside a :class:`MetaFormerStage`: norms and linear
layers then work on contiguous memory.
"""

from collections.abc import Sequence

import torch
from mmcv.cnn.bricks import LayerScale
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmfreq.models.layers import build_drop_path, move_channels_first, move_channels_last

__all__ = ['MetaFormerBlock', 'MetaFormerStage', 'SingleResidualBlock', 'Stage']


class MetaFormerBlock(nn.Module):
    """Token mixer and MLP, each under a residual of its own, as in MetaFormer and its baselines.

    ``x = skip(x) + branch(mixer(norm1(x)))``, and the same with ``norm2`` and ``mlp``.

    Args:
        dim (int): Number of channels.
        token_mixer (nn.Module): Maps ``(B, H, W, C)`` to the same shape.
        mlp (nn.Module): Maps ``(B, H, W, C)`` to the same shape.
        norm_bias (bool): Whether the layer norms have a bias. Defaults to True.
        res_scale_init (float, optional): Initial value of the learned scale per channel on the
            skip connections. Defaults to None: no scale.
        layer_scale_init (float, optional): Likewise on the branches. Defaults to None: no scale.
        drop_path (float): Probability of dropping the branches of a sample. Defaults to 0.
    """

    def __init__(
        self,
        dim: int,
        token_mixer: nn.Module,
        mlp: nn.Module,
        norm_bias: bool = True,
        res_scale_init: float | None = None,
        layer_scale_init: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6, bias=norm_bias)
        self.token_mixer = token_mixer
        self.res_scale1 = _channel_scale(dim, res_scale_init)
        self.layer_scale1 = _channel_scale(dim, layer_scale_init)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6, bias=norm_bias)
        self.mlp = mlp
        self.res_scale2 = _channel_scale(dim, res_scale_init)
        self.layer_scale2 = _channel_scale(dim, layer_scale_init)
        self.drop_path = build_drop_path(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape."""
        branch = self.layer_scale1(self.token_mixer(self.norm1(x)))
        x = self.res_scale1(x) + self.drop_path(branch)
        branch = self.layer_scale2(self.mlp(self.norm2(x)))
        return self.res_scale2(x) + self.drop_path(branch)


class SingleResidualBlock(nn.Module):
    """Token mixer and MLP under one residual: ``x + scale(mlp(norm2(mixer(norm1(x)))))``.

    Args:
        dim (int): Number of channels.
        token_mixer (nn.Module): Maps ``(B, H, W, C)`` to the same shape.
        mlp (nn.Module): Maps ``(B, H, W, C)`` to the same shape.
        layer_scale_init (float, optional): Initial value of the learned scale per channel on the
            branch. Defaults to None: no scale.
        drop_path (float): Probability of dropping the branch of a sample. Defaults to 0.
    """

    def __init__(
        self,
        dim: int,
        token_mixer: nn.Module,
        mlp: nn.Module,
        layer_scale_init: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.token_mixer = token_mixer
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = mlp
        self.layer_scale = _channel_scale(dim, layer_scale_init)
        self.drop_path = build_drop_path(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape."""
        branch = self.mlp(self.norm2(self.token_mixer(self.norm1(x))))
        return x + self.drop_path(self.layer_scale(branch))


class Stage(nn.Module):
    """Optional downsampling and a sequence of blocks on ``(B, C, H, W)``.

    Args:
        downsample (nn.Module, optional): Maps ``(B, C, H, W)`` to the stage's channels and size.
        blocks (Sequence[nn.Module]): Blocks of the stage.
        with_cp (bool): Recompute the blocks in the backward pass instead of storing their
            activations. Defaults to False.
    """

    def __init__(
        self, downsample: nn.Module | None, blocks: Sequence[nn.Module], with_cp: bool = False
    ) -> None:
        super().__init__()
        self.downsample = downsample
        self.blocks = nn.ModuleList(blocks)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, C, H, W)`` to those of the stage, ``(B, C', H', W')``."""
        return self.run_blocks(x if self.downsample is None else self.downsample(x))

    def run_blocks(self, x: Tensor) -> Tensor:
        """Apply the blocks to features ``(B, C', H', W')``."""
        for block in self.blocks:
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x


class MetaFormerStage(Stage):
    """Stage whose blocks work on channels-last features ``(B, H, W, C)``, see :class:`Stage`."""

    def run_blocks(self, x: Tensor) -> Tensor:
        """Apply the blocks to features ``(B, C', H', W')``."""
        return move_channels_first(super().run_blocks(move_channels_last(x)))


def _channel_scale(dim: int, init: float | None) -> nn.Module:
    return nn.Identity() if init is None else LayerScale(dim, scale=init)
