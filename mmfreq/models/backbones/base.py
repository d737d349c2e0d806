"""Skeleton that every backbone of this library shares: a stem, stages, and norms of outputs.

Between stages, features are ``(B, C, H, W)`` in any memory format.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from mmcv.cnn.bricks import build_norm_layer
from mmengine.model import BaseModule
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from torch import Tensor, nn

from mmfreq.models.layers import apply_norm
from mmfreq.models.pretrained import is_pretrained, load_init_cfg
from mmfreq.ops.choice import check_backend
from mmfreq.ops.layout import is_channels_last, to_channels_last, to_planes
from mmfreq.ops.resize import check_resize_mode
from mmfreq.ops.tracing import is_traced

__all__ = [
    'BATCH_NORM',
    'LAYER_NORM',
    'StagedBackbone',
    'check_in_channels',
    'check_size_arguments',
    'pyramid_sizes',
    'resolve_arch',
    'resolve_out_indices',
    'to_pair',
]

LAYER_NORM = dict(type='LN', eps=1e-6)
BATCH_NORM = dict(type='BN')


class StagedBackbone(BaseModule):
    """Base of backbones that are a stem followed by stages of blocks.

    Only what the wanted outputs need is built: stages after the last of ``out_indices`` do not
    exist, nor do norms of outputs that are not used, and so every parameter receives a gradient.

    Args:
        patch_embed (nn.Module): The stem. Maps images ``(B, in_channels, H, W)`` to
            ``(B, C, h, w)``; its first convolution is the first layer.
        stage (Callable): Called with the number of a stage and the drop-path probability of each of
            its blocks; returns a module that maps ``(B, C, H, W)`` to ``(B, C', H', W')``.
        embed_dims (Sequence[int]): Channels of each stage.
        depths (Sequence[int]): Blocks of each stage.
        out_indices (Sequence[int]): Stages whose features are returned, see
            :func:`resolve_out_indices`.
        drop_path_rate (float): Drop-path probability of the last block; it grows linearly from 0.
        frozen_stages (int): -1 freezes nothing, 0 the stem, ``n`` also the first ``n`` stages.
        norm_eval (bool): Keep batch norms in eval mode while training.
        out_norm (dict, optional): Config of the norm of each output; None returns raw features.
        backend (str): What computes spectral operations, see :mod:`mmfreq.ops.choice`.
        init_cfg (dict | list[dict], optional): Initialisation, as in MMEngine.

    Attributes:
        in_channels (int): Number of channels of images.
        stem_weight (str): Name of the weight that images meet.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    # Classifiers have one norm, behind the last stage; norms of other outputs start fresh.
    optional_in_checkpoint = r'norm\d+\.'
    init_cfg: dict | list[dict] | None
    default_init: ClassVar[list[dict]] = [
        dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0)
    ]

    def __init__(
        self,
        *,
        patch_embed: nn.Module,
        stage: Callable[[int, list[float]], nn.Module],
        embed_dims: Sequence[int],
        depths: Sequence[int],
        out_indices: Sequence[int],
        drop_path_rate: float,
        frozen_stages: int,
        norm_eval: bool,
        out_norm: dict | None,
        backend: str,
        init_cfg: dict | list[dict] | None,
    ) -> None:
        super().__init__(init_cfg)
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
        name, stem = next(item for item in self.named_modules() if isinstance(item[1], nn.Conv2d))
        self.in_channels, self.stem_weight = stem.in_channels, f'{name}.weight'
        last_block = max(sum(depths) - 1, 1)
        drop_paths = (drop_path_rate * i / last_block for i in range(sum(depths)))
        self.stages = nn.ModuleList(
            stage(i, [next(drop_paths) for _ in range(depth)])
            for i, depth in enumerate(self.depths)
        )
        if out_norm is not None:
            for i in self.out_indices:
                self.add_module(f'norm{i}', build_norm_layer(out_norm, self.embed_dims[i])[1])
        self._freeze_stages()
        self.set_backend(backend)

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Number of channels of each output."""
        return tuple(self.embed_dims[i] for i in self.out_indices)

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
        num_layers = sum(self.depths) + 2
        if not param_name.startswith(prefix):
            return num_layers - 1, num_layers
        parts = param_name[len(prefix) :].split('.')
        if parts[0] == 'patch_embed':
            return 0, num_layers
        if parts[0] != 'stages':
            return num_layers - 1, num_layers
        stage = int(parts[1])
        position = {'blocks': int(parts[3]) if parts[2] == 'blocks' else 0, 'downsample': 0}
        block = position.get(parts[2], self.depths[stage] - 1)
        return sum(self.depths[:stage]) + block + 1, num_layers

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
        cfgs = [given] if isinstance(given, dict) else given or []
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
        check_backend(backend)
        for module in self.modules():
            if hasattr(module, 'backend'):
                module.backend = backend

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


def _channels_last(grad: Tensor) -> Tensor:
    return to_channels_last(grad, grad.dtype)


def pyramid_sizes(
    size: tuple[int, int], num_stages: int, downsample_stages: Sequence[int]
) -> list[tuple[int, int]]:
    """Sizes of the stages' feature maps.

    Args:
        size (tuple[int, int]): Size ``(h, w)`` behind the stem.
        num_stages (int): Number of stages.
        downsample_stages (Sequence[int]): Stages that start by halving their maps, rounding up.

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


def resolve_arch(
    arch: str | dict,
    known: Mapping[str, dict],
    required: Sequence[str] = ('embed_dims', 'depths'),
    optional: Sequence[str] = (),
) -> dict:
    """Check ``arch`` and return its settings.

    Args:
        arch (str | dict): Name of a known architecture, or settings of a new one.
        known (Mapping[str, dict]): Settings of the known architectures by name.
        required (Sequence[str]): Settings that a dict needs; ``embed_dims`` and ``depths`` among
            them. Defaults to those two.
        optional (Sequence[str]): Settings that a dict may have. Defaults to none.

    Returns:
        dict: Settings, ``embed_dims`` and ``depths`` as tuples of the same length.

    Raises:
        ValueError: If the name or a setting is unknown, one is missing, or lengths differ.
    """
    if isinstance(arch, str):
        if arch not in known:
            raise ValueError(f'arch must be one of {list(known)}, got {arch!r}')
        return known[arch]
    missing, unknown = set(required) - set(arch), set(arch) - {*required, *optional}
    if missing or unknown:
        raise ValueError(
            f'an arch dict needs {", ".join(required)} and may have {list(optional)}; '
            f'missing {sorted(missing)}, unknown {sorted(unknown)}'
        )
    pair = {
        name: (value,) if isinstance(value, int) else tuple(value)
        for name, value in arch.items()
        if name in ('embed_dims', 'depths')
    }
    if not pair['depths'] or len(pair['embed_dims']) != len(pair['depths']):
        raise ValueError(
            f'embed_dims and depths of arch must have the same length, got '
            f'{pair["embed_dims"]} and {pair["depths"]}'
        )
    return {**arch, **pair}


def check_in_channels(in_channels: int) -> None:
    """Raise a ``ValueError`` if images cannot have this number of channels."""
    if in_channels < 1:
        raise ValueError(f'in_channels must be at least 1, got {in_channels}')


def check_size_arguments(img_size: int | tuple[int, int], resize_mode: str | None) -> None:
    """Check the arguments of a network that has nothing to resize, as where they have an effect.

    Args:
        img_size (int | tuple[int, int]): Image size in pixels.
        resize_mode (str, optional): See :func:`mmfreq.ops.resize_filter`.

    Raises:
        ValueError: If one of them is out of range.
    """
    to_pair(img_size)
    check_resize_mode(resize_mode or 'kernel')


def to_pair(img_size: int | tuple[int, int]) -> tuple[int, int]:
    """``(height, width)`` in pixels from one or two positive integers, or a ``ValueError``."""
    pair = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f'img_size must be one or two positive integers, got {img_size}')
    return pair[0], pair[1]
