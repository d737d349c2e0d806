"""Skeleton of the backbones: stages of blocks with the token mixer as an argument.

Features are channels-last, ``(B, H, W, C)``, inside the stages: norms and linear layers then work
on contiguous memory. Outputs are ``(B, C, H, W)``.
"""

from collections.abc import Callable, Sequence

import torch
from mmcv.cnn.bricks import DropPath, LayerScale, build_norm_layer
from mmengine.model import BaseModule
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmfreq.models.layers import Mlp, to_channels_first, to_channels_last
from mmfreq.models.pretrained import load_pretrained

__all__ = [
    'LAYER_NORM',
    'MetaFormer',
    'MetaFormerBlock',
    'MetaFormerStage',
    'pyramid_sizes',
    'resolve_out_indices',
]

LAYER_NORM = dict(type='LN', eps=1e-6)


class MetaFormerBlock(nn.Module):
    """Token mixer and MLP under one residual: ``x + scale(mlp(norm2(mixer(norm1(x)))))``.

    Args:
        dim (int): Number of channels.
        token_mixer (nn.Module): Maps ``(B, H, W, C)`` to the same shape.
        mlp_ratio (float): Hidden channels of the MLP per channel. Defaults to 4.
        layer_scale_init (float, optional): Initial value of the learned scale per channel on the
            residual branch. Defaults to None: no scale.
        drop_path (float): Probability of dropping the branch of a sample. Defaults to 0.
    """

    def __init__(
        self,
        dim: int,
        token_mixer: nn.Module,
        mlp_ratio: float = 4.0,
        layer_scale_init: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.token_mixer = token_mixer
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.layer_scale = (
            nn.Identity() if layer_scale_init is None else LayerScale(dim, scale=layer_scale_init)
        )
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape."""
        branch = self.mlp(self.norm2(self.token_mixer(self.norm1(x))))
        return x + self.drop_path(self.layer_scale(branch))


class MetaFormerStage(nn.Module):
    """Optional downsampling and a sequence of blocks.

    Args:
        downsample (nn.Module, optional): Maps ``(B, C, H, W)`` to the stage's channels and size.
        blocks (Sequence[nn.Module]): Blocks on ``(B, H, W, C)``.
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
        """Map features ``(B, H, W, C)`` to those of the stage, ``(B, H', W', C')``."""
        if self.downsample is not None:
            x = to_channels_last(self.downsample(to_channels_first(x)))
        for block in self.blocks:
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x


class MetaFormer(BaseModule):
    """Base of backbones that are a patch embedding followed by stages of blocks.

    Only what the wanted outputs need is built: stages after the last of ``out_indices`` do not
    exist, nor do norms of outputs that are not used, and so every parameter receives a gradient.

    Args:
        patch_embed (nn.Module): Maps images ``(B, 3, H, W)`` to features ``(B, h, w, C)``.
        downsample (Callable): Called with the numbers of channels before and after; returns a
            module that halves ``(B, C, H, W)``, rounding up.
        token_mixer (Callable): Called with the number of channels and the size ``(h, w)`` of a
            stage's stored feature maps; returns a block's token mixer.
        stage_sizes (Sequence[tuple[int, int]]): Size ``(h, w)`` of each stage's feature maps that
            resolution-dependent parameters are stored for, see :func:`pyramid_sizes`.
        embed_dims (Sequence[int]): Channels of each stage.
        depths (Sequence[int]): Blocks of each stage.
        downsample_stages (Sequence[int]): Stages that start with a downsampling.
        layer_scale_init (float, optional): See :class:`MetaFormerBlock`.
        out_indices (Sequence[int]): Stages whose features are returned, see
            :func:`resolve_out_indices`.
        drop_path_rate (float): Drop-path probability of the last block; it grows linearly from 0.
        frozen_stages (int): -1 freezes nothing, 0 the patch embedding, ``n`` also the first ``n``
            stages.
        with_cp (bool): Trade time for memory, see :class:`MetaFormerStage`.
        norm_eval (bool): Keep batch norms in eval mode while training.
        out_norm (dict, optional): Config of the norm of each output; None returns raw features.
        init_cfg (dict | list[dict], optional): Initialisation, as in MMEngine.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    # Classifiers have one norm, behind the last stage; norms of other outputs start fresh.
    optional_in_checkpoint = r'norm\d+\.'

    def __init__(
        self,
        *,
        patch_embed: nn.Module,
        downsample: Callable[[int, int], nn.Module],
        token_mixer: Callable[[int, tuple[int, int]], nn.Module],
        stage_sizes: Sequence[tuple[int, int]],
        embed_dims: Sequence[int],
        depths: Sequence[int],
        downsample_stages: Sequence[int],
        layer_scale_init: float | None,
        out_indices: Sequence[int],
        drop_path_rate: float,
        frozen_stages: int,
        with_cp: bool,
        norm_eval: bool,
        out_norm: dict | None,
        init_cfg: dict | list[dict] | None,
    ) -> None:
        super().__init__(init_cfg)
        self.init_cfg: dict | list[dict] | None
        num_stages = out_indices[-1] + 1
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'drop_path_rate must be in [0, 1), got {drop_path_rate}')
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(
                f'frozen_stages must be in [-1, {num_stages}] with out_indices={out_indices}, '
                f'got {frozen_stages}'
            )
        self.out_indices = tuple(out_indices)
        self.embed_dims = tuple(embed_dims)[:num_stages]
        self.depths = tuple(depths)[:num_stages]
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

        self.patch_embed = patch_embed
        last_block = max(sum(depths) - 1, 1)
        drop_paths = (drop_path_rate * i / last_block for i in range(sum(depths)))
        self.stages = nn.ModuleList()
        for i, (dim, depth) in enumerate(zip(self.embed_dims, self.depths, strict=True)):
            halve = downsample(self.embed_dims[i - 1], dim) if i in downsample_stages else None
            blocks = [
                MetaFormerBlock(
                    dim,
                    token_mixer(dim, stage_sizes[i]),
                    layer_scale_init=layer_scale_init,
                    drop_path=next(drop_paths),
                )
                for _ in range(depth)
            ]
            self.stages.append(MetaFormerStage(halve, blocks, with_cp))
        if out_norm is not None:
            for i in self.out_indices:
                self.add_module(f'norm{i}', build_norm_layer(out_norm, self.embed_dims[i])[1])
        self._freeze_stages()

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Number of channels of each output."""
        return tuple(self.embed_dims[i] for i in self.out_indices)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps.

        Args:
            x (Tensor): Images, shape ``(B, 3, H, W)``, of any size.

        Returns:
            tuple[Tensor]: One map ``(B, C_i, H_i, W_i)`` per entry of ``out_indices``.

        Raises:
            ValueError: If ``x`` is not a batch of RGB images with at least one pixel.
        """
        if x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape:
            raise ValueError(
                f'images must have the shape (B, 3, H, W) with no empty axis, got {tuple(x.shape)}'
            )
        x = self.patch_embed(x)
        outs = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.out_indices:
                outs.append(self._output(i, x))
        return tuple(outs)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of a parameter, for layer-wise learning-rate decay.

        Args:
            param_name (str): Name of the parameter in the whole model.
            prefix (str): Name of the backbone in the model, with a dot, e.g. ``'backbone.'``.

        Returns:
            tuple[int, int]: Depth and number of depths. The patch embedding has depth 0, the k-th
            block depth k, norms of outputs and everything behind the backbone the last one.
        """
        num_layers = sum(self.depths) + 2
        if not param_name.startswith(prefix):
            return num_layers - 1, num_layers
        parts = param_name[len(prefix) :].split('.')
        if parts[0] == 'patch_embed':
            return 0, num_layers
        if parts[0] != 'stages':
            return num_layers - 1, num_layers
        block = int(parts[3]) if parts[2] == 'blocks' else 0  # a downsampling joins the first block
        return sum(self.depths[: int(parts[1])]) + block + 1, num_layers

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says; pretrained weights load by :func:`load_pretrained`."""
        given = self.init_cfg
        cfgs = [given] if isinstance(given, dict) else given or []
        others = [cfg for cfg in cfgs if cfg['type'] != 'Pretrained']
        self.init_cfg = others or [dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0)]
        super().init_weights()
        self.init_cfg = given
        for cfg in cfgs:
            if cfg['type'] == 'Pretrained':
                load_pretrained(self, cfg['checkpoint'])

    def adapt_checkpoint(
        self, state_dict: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Fit a file's tensors to this network, see :class:`mmfreq.models.pretrained.Adaptable`."""
        return state_dict, []

    def train(self, mode: bool = True) -> 'MetaFormer':
        """Switch to training or evaluation; frozen stages stay in evaluation."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _output(self, stage: int, x: Tensor) -> Tensor:
        norm = getattr(self, f'norm{stage}', None)
        if type(norm) is nn.LayerNorm:
            return to_channels_first(norm(x))
        x = to_channels_first(x)
        return x if norm is None else norm(x)

    def _freeze_stages(self) -> None:
        if self.frozen_stages < 0:
            return
        frozen = [self.patch_embed, *self.stages[: self.frozen_stages]]
        frozen += [
            getattr(self, f'norm{i}')
            for i in self.out_indices
            if i < self.frozen_stages and hasattr(self, f'norm{i}')
        ]
        for module in frozen:
            module.eval()
            for param in module.parameters():
                param.requires_grad = False


def pyramid_sizes(
    size: tuple[int, int], num_stages: int, downsample_stages: Sequence[int]
) -> list[tuple[int, int]]:
    """Sizes of the stages' feature maps.

    Args:
        size (tuple[int, int]): Size ``(h, w)`` after the patch embedding.
        num_stages (int): Number of stages.
        downsample_stages (Sequence[int]): Stages that start with a downsampling.

    Returns:
        list[tuple[int, int]]: Size ``(h, w)`` of each stage.
    """
    sizes = []
    for i in range(num_stages):
        if i in downsample_stages:
            size = (-(-size[0] // 2), -(-size[1] // 2))
        sizes.append(size)
    return sizes


def resolve_out_indices(
    out_indices: int | Sequence[int] | None, num_stages: int
) -> tuple[int, ...]:
    """Check ``out_indices`` and return them as ascending non-negative stage numbers.

    Args:
        out_indices (int | Sequence[int], optional): As given by the user; None for the ends of four
            groups of stages.
        num_stages (int): Number of stages of the network.

    Returns:
        tuple[int]: Stage numbers.

    Raises:
        ValueError: If an index is out of range, or they are empty or not in ascending order.
    """
    if out_indices is None:
        ends = {max(i * num_stages // 4, 1) - 1 for i in range(1, 5)}
        return tuple(sorted(ends))
    indices = (out_indices,) if isinstance(out_indices, int) else tuple(out_indices)
    if not all(-num_stages <= i < num_stages for i in indices):
        raise ValueError(
            f'out_indices must be in [{-num_stages}, {num_stages - 1}], got {out_indices}'
        )
    resolved = tuple(i % num_stages for i in indices)
    if not resolved or list(resolved) != sorted(set(resolved)):
        raise ValueError(
            f'out_indices must name at least one stage, each once and in ascending order, '
            f'got {out_indices}'
        )
    return resolved
