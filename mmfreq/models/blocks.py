"""Blocks of token mixer and MLP; the mixer is an argument of the block.

Features are channels-last, ``(B, H, W, C)``, as in a :class:`ChannelsLastStage`: norms and linear
layers then work on contiguous memory.
"""

from mmcv.cnn.bricks import LayerScale
from torch import Tensor, nn

from mmfreq.models.layers import build_drop_path

__all__ = ['MetaFormerBlock', 'PostNormBlock', 'SingleResidualBlock']


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
        norm_eps (float): What the norms add to variances. Defaults to 1e-6.
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
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps, bias=norm_bias)
        self.token_mixer = token_mixer
        self.res_scale1 = _channel_scale(dim, res_scale_init)
        self.layer_scale1 = _channel_scale(dim, layer_scale_init)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps, bias=norm_bias)
        self.mlp = mlp
        self.res_scale2 = _channel_scale(dim, res_scale_init)
        self.layer_scale2 = _channel_scale(dim, layer_scale_init)
        self.drop_path = build_drop_path(drop_path)

    def forward(self, x: Tensor, *shared: nn.Module) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape.

        Args:
            x (Tensor): Features.
            *shared (nn.Module): For the token mixer, see :meth:`mmfreq.models.stage.Stage.shared`.

        Returns:
            Tensor: Features of the shape of ``x``.
        """
        branch = self.layer_scale1(self.token_mixer(self.norm1(x), *shared))
        x = self.res_scale1(x) + self.drop_path(branch)
        branch = self.layer_scale2(self.mlp(self.norm2(x)))
        return self.res_scale2(x) + self.drop_path(branch)


class PostNormBlock(MetaFormerBlock):
    """The same with each norm behind its branch: ``x = skip(x) + scale(norm1(mixer(x)))``."""

    def forward(self, x: Tensor, *shared: nn.Module) -> Tensor:
        """See :meth:`MetaFormerBlock.forward`."""
        branch = self.layer_scale1(self.norm1(self.token_mixer(x, *shared)))
        x = self.res_scale1(x) + self.drop_path(branch)
        branch = self.layer_scale2(self.norm2(self.mlp(x)))
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


def _channel_scale(dim: int, init: float | None) -> nn.Module:
    return nn.Identity() if init is None else LayerScale(dim, scale=init)
