"""Skeleton that every backbone of this library shares: a stem, stages, and norms of outputs.

Between stages, features are ``(B, C, H, W)`` in any memory format.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

from mmcv.cnn.bricks import build_norm_layer
from mmengine.model import BaseModule
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from torch import Tensor, nn

from mmfreq.models.backbones.arguments import resolve_out_indices
from mmfreq.models.backbones.options import BackboneOptions, check_names, check_types, show_options
from mmfreq.models.layers import apply_norm, set_backend
from mmfreq.models.pretrained import is_pretrained, load_init_cfg
from mmfreq.models.stage import Stage
from mmfreq.ops.layout import is_channels_last, to_channels_last, to_planes
from mmfreq.ops.tracing import as_int, is_compiled, is_traced
from mmfreq.utils.config_tree import as_list

__all__ = ['BATCH_NORM', 'LAYER_NORM', 'StagedBackbone']

LAYER_NORM = dict(type='LN', eps=1e-6)
BATCH_NORM = dict(type='BN')
STRIDED = (nn.Conv2d, nn.MaxPool2d)


class StagedBackbone(BaseModule):
    """Base of backbones that are a stem followed by stages of blocks.

    Only what the wanted outputs need is built: stages after the last of ``out_indices`` do not
    exist, nor do norms of outputs that are not used, and so every parameter receives a gradient.

    Args:
        stem (Callable): Called with ``in_channels``; returns a module that maps images
            ``(B, in_channels, H, W)`` to ``(B, C, h, w)``, whose first convolution is the first
            layer.
        stage (Callable): Called with the number of a stage and the drop-path probability of each of
            its blocks; returns a module that maps ``(B, C, H, W)`` to ``(B, C', H', W')``.
        embed_dims (Sequence[int]): Channels of each stage.
        depths (Sequence[int]): Blocks of each stage.
        out_indices: This and what follows it, see :class:`BackboneOptions`.

    Attributes:
        arch_settings (dict[str, dict]): Settings of the known variants by name.
        default_options (BackboneOptions): Defaults that differ from the common ones.
        checkpoints (str): Files of others that :meth:`adapt_checkpoint` takes as they are.
        image_mean, image_std (tuple[float, ...]): Per channel of RGB images, as the originals
            normalised them.
        in_channels (int): Number of channels of images.
        stem_weight (str): Name of the weight that images meet.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    arch_settings: ClassVar[dict[str, dict]] = {}
    default_options: ClassVar[BackboneOptions] = {}
    checkpoints: ClassVar[str] = 'none'
    image_mean: ClassVar[tuple[float, float, float]] = (123.675, 116.28, 103.53)
    image_std: ClassVar[tuple[float, float, float]] = (58.395, 57.12, 57.375)
    # Classifiers have one norm, behind the last stage; norms of other outputs start fresh.
    optional_in_checkpoint = r'norm\d+\.'
    init_cfg: dict | list[dict] | None
    default_init: ClassVar[list[dict]] = [
        dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0)
    ]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        show_options(cls)

    def __new__(cls, *_: Any, **given: Any) -> 'StagedBackbone':
        """Check names and types of arguments, before constructors hand them on."""
        check_names(cls, given)
        check_types(given)
        return super().__new__(cls)

    def __init__(
        self,
        *,
        stem: Callable[[int], nn.Module],
        stage: Callable[[int, list[float]], nn.Module],
        embed_dims: Sequence[int],
        depths: Sequence[int],
        out_indices: int | Sequence[int] | None = None,
        in_channels: int = 3,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool = False,
        norm_eval: bool = False,
        out_norm: dict | None = LAYER_NORM,
        backend: str = 'auto',
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_indices = resolve_out_indices(out_indices, len(depths))
        num_stages = self.out_indices[-1] + 1
        if in_channels < 1:
            raise ValueError(f'in_channels must be at least 1, got {in_channels}')
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'drop_path_rate must be in [0, 1), got {drop_path_rate}')
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(
                f'frozen_stages must be in [-1, {num_stages}] with out_indices='
                f'{self.out_indices}, got {frozen_stages}'
            )
        self.embed_dims = tuple(embed_dims)[:num_stages]
        self.depths = tuple(depths)[:num_stages]
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

        self.patch_embed = stem(in_channels)
        convolutions = (item for item in self.named_modules() if isinstance(item[1], nn.Conv2d))
        name, first = next(convolutions, ('', None))
        if first is None or first.in_channels != in_channels:
            raise ValueError(
                f'the first layer of the stem must be an nn.Conv2d on {in_channels} channels'
            )
        self.in_channels, self.stem_weight = in_channels, f'{name}.weight'
        last_block = max(sum(depths) - 1, 1)
        drop_paths = (drop_path_rate * i / last_block for i in range(sum(depths)))
        self.stages = nn.ModuleList(
            stage(i, [next(drop_paths) for _ in range(depth)])
            for i, depth in enumerate(self.depths)
        )
        for module in self.stages:
            if isinstance(module, Stage):
                module.with_cp = with_cp
        if out_norm is not None:
            for i in self.out_indices:
                self.add_module(f'norm{i}', build_norm_layer(out_norm, self.embed_dims[i])[1])
        self._freeze_stages()
        self.set_backend(backend)

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Number of channels of each output."""
        return tuple(self.embed_dims[i] for i in self.out_indices)

    @property
    def out_strides(self) -> tuple[int, ...]:
        """Pixels of an image per pixel of each output, along each axis."""
        strides = [math.prod(_strides_in(self.patch_embed))]
        for stage in self.stages:
            # Convolutions of a stage that have strides lie beside each other, as skips do.
            strides.append(strides[-1] * max(_strides_in(stage), default=1))
        return tuple(strides[i + 1] for i in self.out_indices)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps.

        Args:
            x (Tensor): Images, shape ``(B, in_channels, H, W)``, of any size.

        Returns:
            tuple[Tensor]: One map ``(B, C_i, H_i, W_i)`` per entry of ``out_indices``.

        Raises:
            ValueError: If ``x`` is not a batch of such images with at least one pixel.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels or 0 in x.shape:
            raise ValueError(
                f'images must have the shape (B, {self.in_channels}, H, W) with no empty axis, got '
                f'{tuple(x.shape)}; for images of another number of channels set in_channels of '
                'the backbone, and of the data_preprocessor one mean, one std, bgr_to_rgb=False'
            )
        if is_compiled():  # not for all sizes at once, which takes minutes
            as_int(x.shape[-2])
            as_int(x.shape[-1])
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
            tuple[int, int]: Depth and number of depths. The stem has depth 0, the k-th block depth
            k, norms of outputs and everything behind the backbone the last one. What a stage has
            before its blocks joins the first of them, what it has behind them the last one.
        """
        last = sum(self.depths) + 1
        name = param_name.removeprefix(prefix) if param_name.startswith(prefix) else ''
        begins = [begin for begin in self._depth_of_part if name.startswith(begin)]
        return self._depth_of_part[max(begins, key=len)] if begins else last, last + 1

    def get_stage(self, param_name: str, prefix: str = '') -> int | None:
        """Stage of a parameter, for learning rates that fall by stages.

        Args:
            param_name (str): Name of the parameter in the whole model.
            prefix (str): Name of the backbone in the model, with a dot, e.g. ``'backbone.'``.

        Returns:
            int | None: Number of the stage, -1 for the stem, None for norms of outputs and what
            does not belong to the backbone.
        """
        name = param_name.removeprefix(prefix) if param_name.startswith(prefix) else ''
        part, _, rest = name.partition('.')
        if part == 'stages':
            return int(rest.partition('.')[0])
        return -1 if part == 'patch_embed' else None

    @cached_property
    def _depth_of_part(self) -> dict[str, int]:
        """Depth of parameters by what their names begin with; the longest beginning counts."""
        parts, before = {'patch_embed.': 0}, 0
        for i, depth in enumerate(self.depths):
            parts[f'stages.{i}.'] = before + depth
            parts[f'stages.{i}.downsample.'] = before + 1
            parts |= {f'stages.{i}.blocks.{k}.': before + 1 + k for k in range(depth)}
            before += depth
        return parts

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, then load pretrained weights if it names any.

        ``dict(type='Pretrained', checkpoint=..., prefix=..., map_location=...)`` is as in MMEngine:
        with ``prefix`` only tensors under it are used. Without, a file's prefixes and the layouts
        of released files are recognised.

        Raises:
            ConnectionError, FileNotFoundError: If the checkpoint cannot be had.
            ValueError: If it does not belong to this network, or ``init_cfg`` has unknown keys.
        """
        given = self.init_cfg
        cfgs = as_list(given)
        others = [cfg for cfg in cfgs if not is_pretrained(cfg)]
        self.init_cfg = others or self.default_init
        super().init_weights()
        self.init_cfg = given
        for cfg in cfgs:
            if is_pretrained(cfg):
                load_init_cfg(self, cfg)

    def set_backend(self, backend: str) -> None:
        """Choose what computes spectral operations from now on.

        Args:
            backend (str): See :mod:`mmfreq.ops.choice`.

        Raises:
            ValueError: If ``backend`` is unknown.
        """
        set_backend(self, backend)

    def adapt_checkpoint(
        self, state_dict: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Fit a file's tensors to this network, see :class:`mmfreq.models.pretrained.Adaptable`."""
        return state_dict, []

    def train(self, mode: bool = True) -> 'StagedBackbone':
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
        x = x if norm is None else apply_norm(norm, x)
        if x.requires_grad and is_channels_last(x) and not is_traced():
            x.register_hook(_channels_last)  # else all layers before work on mixed layouts
        return to_planes(x, x.dtype)

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


def _strides_in(module: nn.Module) -> list[int]:
    """Strides above 1 of the convolutions and pools of a module."""
    strides = (child.stride for child in module.modules() if isinstance(child, STRIDED))
    numbers = (stride[0] if isinstance(stride, tuple) else stride for stride in strides)
    return [number for number in numbers if isinstance(number, int) and number > 1]


def _channels_last(grad: Tensor) -> Tensor:
    return to_channels_last(grad, grad.dtype)
