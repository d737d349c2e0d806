"""GFNet: Global Filter Networks for Image Classification, arXiv 2107.00645."""

import math
import re
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from mmcv.cnn.bricks import Conv2dAdaptivePadding
from torch import Tensor, nn

from mmfreq.models.backbones.metaformer import (
    LAYER_NORM,
    MetaFormer,
    pyramid_sizes,
    resolve_out_indices,
)
from mmfreq.models.layers import PatchEmbed, resize_positions
from mmfreq.models.mixers import GlobalFilter
from mmfreq.ops import RESIZE_MODES, resize_filter
from mmfreq.ops.resize import check_resize_mode
from mmfreq.registry import MODELS

__all__ = ['GFNet']


@MODELS.register_module()
class GFNet(MetaFormer):
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
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        settings = self._settings(arch)
        embed_dims, depths = settings['embed_dims'], settings['depths']
        if len(depths) == 1:
            embed_dims, depths = embed_dims * depths[0], (1,) * depths[0]
            downsample_stages = range(0)
        else:
            downsample_stages = range(1, len(depths))
        patch_size = settings['patch_size']
        height, width = (-(-side // patch_size) for side in _to_pair(img_size))
        sizes = pyramid_sizes((height, width), len(depths), downsample_stages)
        super().__init__(
            patch_embed=PatchEmbed(embed_dims[0], patch_size, sizes[0]),
            downsample=partial(Conv2dAdaptivePadding, kernel_size=2, stride=2),
            token_mixer=GlobalFilter,
            stage_sizes=sizes,
            embed_dims=embed_dims,
            depths=depths,
            downsample_stages=downsample_stages,
            layer_scale_init=settings.get('layer_scale_init'),
            out_indices=resolve_out_indices(out_indices, len(depths)),
            drop_path_rate=drop_path_rate,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
            norm_eval=norm_eval,
            out_norm=out_norm,
            init_cfg=init_cfg,
        )
        self.sizes = sizes
        self.num_stages = len(depths)
        self.downsample_stages = downsample_stages
        self.requested_resize_mode = resize_mode
        self.register_buffer('resize_mode_id', torch.tensor(0, dtype=torch.uint8))
        self.set_resize_mode(resize_mode or 'kernel')
        self.register_load_state_dict_post_hook(_follow_stored_resize_mode)

    def set_resize_mode(self, mode: str) -> None:
        """Choose how filters are resized from now on.

        Args:
            mode (str): See :func:`mmfreq.ops.resize_filter`.

        Raises:
            ValueError: If ``mode`` is unknown.
        """
        check_resize_mode(mode)
        self.resize_mode = mode
        self.resize_mode_id.fill_(RESIZE_MODES.index(mode))
        for module in self.modules():
            if isinstance(module, GlobalFilter):
                module.resize_mode = mode

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
        mode = self.requested_resize_mode
        if any(name.endswith('.filter.complex_weight') for name in state_dict):
            state_dict = _from_released(state_dict, last_norm=f'norm{self.num_stages - 1}.')
            mode = mode or 'interpolate'
        elif 'resize_mode_id' in state_dict:
            mode = mode or _mode_of(state_dict['resize_mode_id'])
        mode = mode or 'kernel'
        adapted = {**state_dict, 'resize_mode_id': torch.tensor(RESIZE_MODES.index(mode))}
        positions = state_dict.get('patch_embed.pos_embed')
        if positions is None:
            return adapted, []
        if positions.ndim != 4:
            raise ValueError(f'pos_embed has the shape {tuple(positions.shape)}')
        old_size = (positions.shape[1], positions.shape[2])
        old_sizes = pyramid_sizes(old_size, self.num_stages, self.downsample_stages)
        adapted['patch_embed.pos_embed'] = resize_positions(positions, self.sizes[0])
        for module_name, module in self.named_modules():
            name = f'{module_name}.weight'
            if isinstance(module, GlobalFilter) and name in state_dict:
                old = old_sizes[int(module_name.split('.')[1])]
                try:
                    adapted[name] = resize_filter(state_dict[name], old, module.size, mode)
                except ValueError as error:
                    raise ValueError(f'{name}: {error}') from error
        return adapted, [
            name for name in state_dict if adapted[name].shape != state_dict[name].shape
        ]

    @classmethod
    def _settings(cls, arch: str | dict) -> dict:
        if isinstance(arch, str):
            if arch not in cls.arch_settings:
                raise ValueError(f'arch must be one of {list(cls.arch_settings)}, got {arch!r}')
            return cls.arch_settings[arch]
        missing = {'patch_size', 'embed_dims', 'depths'} - set(arch)
        unknown = set(arch) - {'patch_size', 'embed_dims', 'depths', 'layer_scale_init'}
        if missing or unknown:
            raise ValueError(
                f'an arch dict needs patch_size, embed_dims and depths and may have '
                f'layer_scale_init; missing {sorted(missing)}, unknown {sorted(unknown)}'
            )
        pair = {
            name: (value,) if isinstance(value, int) else tuple(value)
            for name, value in arch.items()
            if name in ('embed_dims', 'depths')
        }
        settings = {**arch, **pair}
        if not settings['depths'] or len(settings['embed_dims']) != len(settings['depths']):
            raise ValueError(
                f'embed_dims and depths of arch must have the same length, got '
                f'{settings["embed_dims"]} and {settings["depths"]}'
            )
        return settings


def _follow_stored_resize_mode(model: nn.Module, _incompatible_keys: object) -> None:
    assert isinstance(model, GFNet)
    model.set_resize_mode(model.requested_resize_mode or _mode_of(model.resize_mode_id))


def _mode_of(resize_mode_id: Tensor) -> str:
    if resize_mode_id.numel() != 1 or not 0 <= int(resize_mode_id) < len(RESIZE_MODES):
        raise ValueError(f'resize_mode_id must be one number below {len(RESIZE_MODES)}')
    return RESIZE_MODES[int(resize_mode_id)]


def _to_pair(img_size: int | tuple[int, int]) -> tuple[int, int]:
    pair = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f'img_size must be one or two positive integers, got {img_size}')
    return pair[0], pair[1]


def _from_released(state_dict: dict[str, Tensor], last_norm: str) -> dict[str, Tensor]:
    """Names and layouts of this library for the tensors of a released GFNet checkpoint."""
    renaming = (
        (r'^patch_embed\.0\.proj\.', 'patch_embed.proj.'),
        (r'^patch_embed\.(\d+)\.proj\.', r'stages.\1.downsample.'),
        (r'^pos_embed$', 'patch_embed.pos_embed'),
        (r'^blocks\.(\d+)\.(\d+)\.', r'stages.\1.blocks.\2.'),
        (r'^blocks\.(\d+)\.', r'stages.\1.blocks.0.'),
        (r'\.filter\.complex_weight$', '.token_mixer.weight'),
        (r'\.gamma$', '.layer_scale.weight'),
        (r'^norm\.', last_norm),
    )
    renamed = {}
    for name, tensor in state_dict.items():
        for pattern, replacement in renaming:
            name = re.sub(pattern, replacement, name)
        if name.endswith('token_mixer.weight') and tensor.ndim == 4:
            tensor = tensor.permute(2, 0, 1, 3)  # (h, w // 2 + 1, C, 2) in the original
        elif name == 'patch_embed.pos_embed' and tensor.ndim == 3:
            side = math.isqrt(tensor.shape[1])
            if side * side != tensor.shape[1]:
                raise ValueError(f'pos_embed has {tensor.shape[1]} positions, which is no square')
            tensor = tensor.reshape(1, side, side, -1)
        renamed[name] = tensor
    return renamed
