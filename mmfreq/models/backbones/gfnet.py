"""GFNet: Global Filter Networks for Image Classification, arXiv 2107.00645."""

import math
from collections.abc import Sequence
from typing import ClassVar

from mmcv.cnn.bricks import Conv2dAdaptivePadding
from torch import Tensor

from mmfreq.models.backbones.base import (
    LAYER_NORM,
    check_in_channels,
    pyramid_sizes,
    resolve_arch,
    resolve_out_indices,
    to_pair,
)
from mmfreq.models.backbones.metaformer import MetaFormerStage, SingleResidualBlock
from mmfreq.models.backbones.resizable import ResizableBackbone
from mmfreq.models.layers import PatchEmbed, resize_positions
from mmfreq.models.mixers import GlobalFilter
from mmfreq.models.pointwise import Mlp
from mmfreq.models.pretrained import rename
from mmfreq.registry import MODELS

__all__ = ['GFNet']


@MODELS.register_module()
class GFNet(ResizableBackbone):
    """Global Filter Network as a backbone for classification and dense prediction.

    After `GFNet <https://github.com/raoyongming/GFNet>`_ (``gfnet.py``, ``main_gfnet.py``), which
    is for square images of one size and returns no feature maps. Here images have any size: filters
    and positions are stored for ``img_size`` and resized to what an image needs. Images that the
    stride does not divide are zero-padded, so a map at stride ``s`` has ``ceil(size / s)`` rows and
    columns.

    ====  =============================  ==================  ====================  ==========
    arch  ``embed_dims``                 ``depths``          strides               parameters
    ====  =============================  ==================  ====================  ==========
    ti    256                            12                  16                    7.25 M
    xs    384                            12                  16                    15.60 M
    s     384                            19                  16                    24.48 M
    b     512                            19                  16                    42.61 M
    h-ti  64, 128, 256, 512              3, 3, 10, 3         4, 8, 16, 32          14.57 M
    h-s   96, 192, 384, 768              3, 3, 10, 3         4, 8, 16, 32          31.39 M
    h-b   96, 192, 384, 768              3, 3, 27, 3         4, 8, 16, 32          52.98 M
    ====  =============================  ==================  ====================  ==========

    Parameters are counted at ``img_size=224`` without classifier, with the norm of the last output.
    They grow with ``img_size``, as the filters do.

    Args:
        arch (str | dict): A name from the table, or a dict with ``patch_size``, ``embed_dims`` and
            ``depths`` (numbers or sequences of them), and optionally ``layer_scale_init``. With a
            single depth the network is isotropic and each of its blocks counts as a stage. Defaults
            to ``'h-s'``.
        out_indices (int | Sequence[int], optional): Stages (isotropic: blocks) whose features are
            returned. Defaults to None: all four stages; for isotropic networks the ends of four
            groups of blocks, 2, 5, 8, 11 of 12 and 3, 8, 13, 18 of 19.
        img_size (int | tuple[int, int]): Image size, in pixels, that filters and positions are
            stored for; the crop size of the training is a good choice. Defaults to 224.
        resize_mode (str, optional): How filters are resized, see :func:`mmfreq.ops.resize_filter`.
            ``'interpolate'`` is faithful to the original, ``'kernel'`` is correct. Defaults to
            None: ``'interpolate'`` once a released checkpoint was loaded, ``'kernel'`` otherwise.
            That choice is stored in the ``state_dict``; an explicit one always wins.
        drop_path_rate (float): Stochastic-depth rate of the last block. The originals trained with
            0, 0, 0.15, 0.25 (ti, xs, s, b) and 0.1, 0.2, 0.4 (h-ti, h-s, h-b). Defaults to 0.
        frozen_stages (int): -1 freezes nothing, 0 the patch embedding with the positions, ``n``
            also the first ``n`` stages. Defaults to -1.
        with_cp (bool): Recompute blocks in the backward pass to save memory. Defaults to False.
        norm_eval (bool): Keep batch norms in eval mode while training; of use only with a batch
            norm as ``out_norm``. Defaults to False.
        out_norm (dict, optional): Norm of each output, ``dict(type='LN')``, ``dict(type='SyncBN')``
            and so on. None returns raw features. Defaults to a layer norm with eps 1e-6.
        in_channels (int): Channels of images; pretrained RGB weights are adapted. Defaults to 3.
        backend (str): What computes spectral operations, one of
            :data:`mmfreq.ops.choice.BACKENDS`. Defaults to ``'auto'``.
        init_cfg (dict | list[dict], optional): Initialisation. ``dict(type='Pretrained',
            checkpoint=...)`` takes released GFNet files as they are and checkpoints of this
            library. Defaults to None: linear layers from a truncated normal distribution.

    Raises:
        ValueError: If an argument is unknown or out of range; the message names it.
    """

    arch_settings: ClassVar[dict[str, dict]] = {
        'ti': dict(patch_size=16, embed_dims=(256,), depths=(12,)),
        'xs': dict(patch_size=16, embed_dims=(384,), depths=(12,)),
        's': dict(patch_size=16, embed_dims=(384,), depths=(19,)),
        'b': dict(patch_size=16, embed_dims=(512,), depths=(19,)),
        'h-ti': dict(
            patch_size=4,
            embed_dims=(64, 128, 256, 512),
            depths=(3, 3, 10, 3),
            layer_scale_init=1e-3,
        ),
        'h-s': dict(
            patch_size=4,
            embed_dims=(96, 192, 384, 768),
            depths=(3, 3, 10, 3),
            layer_scale_init=1e-5,
        ),
        'h-b': dict(
            patch_size=4,
            embed_dims=(96, 192, 384, 768),
            depths=(3, 3, 27, 3),
            layer_scale_init=1e-6,
        ),
    }

    def __init__(
        self,
        arch: str | dict = 'h-s',
        out_indices: int | Sequence[int] | None = None,
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
        settings = resolve_arch(
            arch, self.arch_settings, ('patch_size', 'embed_dims', 'depths'), ('layer_scale_init',)
        )
        check_in_channels(in_channels)
        embed_dims, depths = settings['embed_dims'], settings['depths']
        if len(depths) == 1:
            embed_dims, depths = embed_dims * depths[0], (1,) * depths[0]
            downsample_stages = range(0)
        else:
            downsample_stages = range(1, len(depths))
        patch_size = settings['patch_size']
        height, width = (-(-side // patch_size) for side in to_pair(img_size))
        sizes = pyramid_sizes((height, width), len(depths), downsample_stages)

        def stage(i: int, drop_paths: list[float]) -> MetaFormerStage:
            dim = embed_dims[i]
            blocks = [
                SingleResidualBlock(
                    dim,
                    GlobalFilter(dim, sizes[i]),
                    Mlp(dim, 4 * dim),
                    settings.get('layer_scale_init'),
                    drop_path,
                )
                for drop_path in drop_paths
            ]
            downsample = None
            if i in downsample_stages:
                downsample = Conv2dAdaptivePadding(embed_dims[i - 1], dim, 2, stride=2)
            return MetaFormerStage(downsample, blocks, with_cp)

        super().__init__(
            sizes=sizes,
            resize_mode=resize_mode,
            patch_embed=PatchEmbed(in_channels, embed_dims[0], patch_size, sizes[0]),
            stage=stage,
            embed_dims=embed_dims,
            depths=depths,
            out_indices=resolve_out_indices(out_indices, len(depths)),
            drop_path_rate=drop_path_rate,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            out_norm=out_norm,
            backend=backend,
            init_cfg=init_cfg,
        )

    def from_released(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Names and layouts of this library for the tensors of a released GFNet checkpoint.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a file by name.

        Returns:
            dict[str, Tensor] | None: Renamed tensors, None if this is not a released GFNet.

        Raises:
            ValueError: If the positions do not form a square.
        """
        if not any(name.endswith('.filter.complex_weight') for name in state_dict):
            return None
        renamed = rename(state_dict, _RENAMING)
        last_norm = f'norm{len(self.sizes) - 1}'
        for name in ('weight', 'bias'):
            if f'norm.{name}' in renamed:
                renamed[f'{last_norm}.{name}'] = renamed.pop(f'norm.{name}')
        for name, tensor in renamed.items():
            if name.endswith('token_mixer.weight') and tensor.ndim == 4:
                renamed[name] = tensor.permute(2, 0, 1, 3)  # (h, w // 2 + 1, C, 2) in the original
            elif name == 'patch_embed.pos_embed' and tensor.ndim == 3:
                side = math.isqrt(tensor.shape[1])
                if side * side != tensor.shape[1]:
                    raise ValueError(
                        f'pos_embed has {tensor.shape[1]} positions, which is no square'
                    )
                renamed[name] = tensor.reshape(1, side, side, -1)
        return renamed

    def adapt_checkpoint(
        self, state_dict: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Rename a released checkpoint and resize positions and filters to this model's size.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a released GFNet or of this class.

        Returns:
            tuple[dict[str, Tensor], list[str]]: Tensors by this model's names, and the names of
            those that were resized.

        Raises:
            ValueError: If positions or a filter do not have the shape that belongs to them.
        """
        adapted, resized = super().adapt_checkpoint(state_dict)
        positions = adapted.get('patch_embed.pos_embed')
        if positions is not None:
            if positions.ndim != 4:
                raise ValueError(f'pos_embed has the shape {tuple(positions.shape)}')
            adapted['patch_embed.pos_embed'] = resize_positions(positions, self.sizes[0])
            if positions.shape[1:3] != self.sizes[0]:
                resized = ['patch_embed.pos_embed', *resized]
        return adapted, resized


_RENAMING = (
    (r'^patch_embed\.0\.proj\.', 'patch_embed.proj.'),
    (r'^patch_embed\.(\d+)\.proj\.', r'stages.\1.downsample.'),
    (r'^pos_embed$', 'patch_embed.pos_embed'),
    (r'^blocks\.(\d+)\.(\d+)\.', r'stages.\1.blocks.\2.'),
    (r'^blocks\.(\d+)\.', r'stages.\1.blocks.0.'),
    (r'\.filter\.complex_weight$', '.token_mixer.weight'),
    (r'\.gamma$', '.layer_scale.weight'),
)
