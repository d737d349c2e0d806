"""The network that DFFormer, CDFFormer, GFFormer and DSM are, up to their token mixers."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor, nn

from mmfreq.models.backbones.base import (
    LAYER_NORM,
    check_in_channels,
    pyramid_sizes,
    resolve_arch,
    resolve_out_indices,
    to_pair,
)
from mmfreq.models.backbones.metaformer import MetaFormerBlock, MetaFormerStage
from mmfreq.models.backbones.resizable import ResizableBackbone
from mmfreq.models.layers import ConvDownsample
from mmfreq.models.pointwise import Mlp, StarReLU
from mmfreq.models.pretrained import rename

__all__ = ['MetaFormerBaseline']


class MetaFormerBaseline(ResizableBackbone):
    """MetaFormer baseline (arXiv 2210.13452) with spectral filters as token mixers.

    Overlapping patches, layer norms without bias, StarReLU, MLPs without bias, and learned scales
    on the skip connections of the last two stages. Images have any size; maps at stride 4 have
    ``(size + 1) // 4`` rows and columns, each later stage half of that, rounded up.

    Args:
        token_mixer (Callable): Called with the number of a stage, its channels and the size
            ``(h, w)`` of its maps at ``img_size``; returns a block's token mixer.
        arch (str | dict): A name of ``arch_settings``, or a dict with ``embed_dims`` and
            ``depths`` of four stages.
        out_indices (int | Sequence[int]): Stages whose features are returned. Defaults to all.
        img_size (int | tuple[int, int]): Image size, in pixels, that filters are stored for; the
            crop size of the training is a good choice. Defaults to 224.
        resize_mode (str, optional): How filters are resized, see :func:`mmfreq.ops.resize_filter`.
            ``'interpolate'`` is faithful to the original, which resizes a checkpoint when loading
            and again in every forward pass; ``'kernel'`` is correct. Defaults to None:
            ``'interpolate'`` once a released checkpoint was loaded, ``'kernel'`` otherwise. That
            choice is stored in the ``state_dict``; an explicit one always wins.
        drop_path_rate (float): Stochastic-depth rate of the last block. Defaults to 0, as in the
            dense models of the authors; they trained s18 on ImageNet with 0.2.
        frozen_stages (int): -1 freezes nothing, 0 the stem, ``n`` also the first ``n`` stages.
            Defaults to -1.
        with_cp (bool): Recompute blocks in the backward pass to save memory. Defaults to False.
        norm_eval (bool): Keep batch norms in eval mode while training; of use only with a batch
            norm as ``out_norm``. Defaults to False.
        out_norm (dict, optional): Norm of each output. None returns raw features. Defaults to a
            layer norm with eps 1e-6.
        in_channels (int): Channels of images; pretrained RGB weights are adapted. Defaults to 3.
        backend (str): What computes spectral operations, one of
            :data:`mmfreq.ops.choice.BACKENDS`. Defaults to ``'auto'``.
        init_cfg (dict | list[dict], optional): Initialisation. ``dict(type='Pretrained',
            checkpoint=...)`` takes released files as they are and checkpoints of this library.
            Defaults to None: linear layers and convolutions from a truncated normal distribution.

    Raises:
        ValueError: If an argument is unknown or out of range; the message names it.
    """

    arch_settings: ClassVar[dict[str, dict]]
    default_init: ClassVar[list[dict]] = [
        dict(type='TruncNormal', layer=['Linear', 'Conv2d'], std=0.02, bias=0.0)
    ]

    def __init__(
        self,
        token_mixer: Callable[[int, int, tuple[int, int]], nn.Module],
        arch: str | dict,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        img_size: int | tuple[int, int] = 224,
        resize_mode: str | None = None,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool = False,
        norm_eval: bool = False,
        out_norm: dict | None = LAYER_NORM,
        in_channels: int = 3,
        backend: str = 'auto',
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        settings = resolve_arch(arch, self.arch_settings)
        embed_dims, depths = settings['embed_dims'], settings['depths']
        num_stages = len(depths)
        check_in_channels(in_channels)
        stem = ConvDownsample(in_channels, embed_dims[0], 7, stride=4, padding=2, norm_first=False)
        sizes = pyramid_sizes(stem.out_size(to_pair(img_size)), num_stages, range(1, num_stages))

        def stage(i: int, drop_paths: list[float]) -> MetaFormerStage:
            dim = embed_dims[i]
            blocks = [
                MetaFormerBlock(
                    dim,
                    token_mixer(i, dim, sizes[i]),
                    Mlp(dim, 4 * dim, act=StarReLU, bias=False),
                    norm_bias=False,
                    res_scale_init=1.0 if i >= 2 else None,
                    drop_path=drop_path,
                )
                for drop_path in drop_paths
            ]
            downsample = ConvDownsample(embed_dims[i - 1], dim) if i > 0 else None
            return MetaFormerStage(downsample, blocks, with_cp)

        super().__init__(
            sizes=sizes,
            resize_mode=resize_mode,
            patch_embed=stem,
            stage=stage,
            embed_dims=embed_dims,
            depths=depths,
            out_indices=resolve_out_indices(out_indices, num_stages),
            drop_path_rate=drop_path_rate,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            out_norm=out_norm,
            backend=backend,
            init_cfg=init_cfg,
        )

    def from_released(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Names and layouts of this library for the tensors of a released checkpoint.

        The norm of a released classifier works on pooled features: it is dropped with the head, and
        norms of outputs start fresh, as in the original's dense models.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a file by name.

        Returns:
            dict[str, Tensor] | None: Renamed tensors, None if this is not a released checkpoint.
        """
        if not any(name.startswith('downsample_layers.') for name in state_dict):
            return None
        renamed = rename(state_dict, _RENAMING)
        for name, tensor in renamed.items():
            if name.endswith('.filters.weight') and tensor.ndim == 4:
                renamed[name] = tensor.permute(2, 0, 1, 3)  # (h, w // 2 + 1, N, 2) in the original
        return renamed


_RENAMING = (
    (r'^downsample_layers\.0\.post_norm\.', 'patch_embed.norm.'),
    (r'^downsample_layers\.0\.', 'patch_embed.'),
    (r'^downsample_layers\.(\d+)\.pre_norm\.', r'stages.\1.downsample.norm.'),
    (r'^downsample_layers\.(\d+)\.', r'stages.\1.downsample.'),
    (r'^stages\.(\d+)\.(\d+)\.', r'stages.\1.blocks.\2.'),
    (r'\.complex_weights$', '.filters.weight'),
    (r'\.token_mixer\.act1\.', '.token_mixer.act.'),
    (r'\.(res_scale\d)\.scale$', r'.\1.weight'),
)
