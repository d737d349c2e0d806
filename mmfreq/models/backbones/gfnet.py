"""GFNet: Global Filter Networks for Image Classification, arXiv 2107.00645."""

import math
from typing import ClassVar

from mmcv.cnn.bricks import Conv2dAdaptivePadding
from torch import Tensor
from typing_extensions import Unpack

from mmfreq.models.backbones.arguments import resolve_arch
from mmfreq.models.backbones.options import ResizableOptions
from mmfreq.models.backbones.resizable import ResizableBackbone
from mmfreq.models.blocks import SingleResidualBlock
from mmfreq.models.layers import PatchEmbed, resize_positions
from mmfreq.models.mixers import GlobalFilter
from mmfreq.models.pointwise import Mlp
from mmfreq.models.pretrained import rename
from mmfreq.models.stage import ChannelsLastStage
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
    They grow with ``img_size``, as the filters do. Of isotropic networks the blocks 2, 5, 8, 11 of
    12, or 3, 8, 13, 18 of 19, are returned by default. The originals trained with a
    ``drop_path_rate`` of 0, 0, 0.15, 0.25 (ti, xs, s, b) and 0.1, 0.2, 0.4 (h-ti, h-s, h-b).

    Args:
        arch (str | dict): A name from the table, or a dict with ``patch_size``, ``embed_dims`` and
            ``depths`` (numbers or sequences of them), and optionally ``layer_scale_init``. With a
            single depth the network is isotropic and each of its blocks counts as a stage. Defaults
            to ``'h-s'``.
        **options: Common arguments.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    checkpoints = 'released classifiers of raoyongming/GFNet'
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

    def __init__(self, arch: str | dict = 'h-s', **options: Unpack[ResizableOptions]) -> None:
        settings = resolve_arch(
            arch, self.arch_settings, ('patch_size', 'embed_dims', 'depths'), ('layer_scale_init',)
        )
        patch_size, embed_dims = settings['patch_size'], settings['embed_dims']
        depths, isotropic = settings['depths'], len(settings['depths']) == 1
        if isotropic:
            embed_dims, depths = embed_dims * depths[0], (1,) * depths[0]

        def stage(i: int, drop_paths: list[float], size: tuple[int, int]) -> ChannelsLastStage:
            dim = embed_dims[i]
            blocks = [
                SingleResidualBlock(
                    dim,
                    GlobalFilter(dim, size),
                    Mlp(dim, 4 * dim),
                    settings.get('layer_scale_init'),
                    drop_path,
                )
                for drop_path in drop_paths
            ]
            downsample = None
            if i > 0 and not isotropic:
                downsample = Conv2dAdaptivePadding(embed_dims[i - 1], dim, 2, stride=2)
            return ChannelsLastStage(downsample, blocks)

        super().__init__(
            stem=lambda channels, size: PatchEmbed(channels, embed_dims[0], patch_size, size),
            stage=stage,
            stem_size=lambda side: -(-side // patch_size),
            embed_dims=embed_dims,
            depths=depths,
            **({'next_size': lambda side: side} if isotropic else {}),
            **options,
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
