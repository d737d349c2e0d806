"""Backbones whose parameters are stored for one image size and resized to others."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from typing_extensions import Unpack

from mmfreq.models.backbones.arguments import to_pair
from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.backbones.options import BackboneOptions
from mmfreq.models.mixers.resizable import Resizable
from mmfreq.models.pretrained import stored_choice
from mmfreq.ops import RESIZE_MODES
from mmfreq.ops.resize import check_resize_mode

__all__ = ['ResizableBackbone']


class ResizableBackbone(StagedBackbone):
    """Adds to :class:`StagedBackbone` how parameters follow the size of images and checkpoints.

    A ``state_dict`` of this network at another ``img_size`` is resized when it is loaded, also as a
    part of a whole model's.

    Args:
        stem (Callable): Called with ``in_channels`` and the size ``(h, w)`` of its maps at
            ``img_size``; returns the stem, see :class:`StagedBackbone`.
        stage (Callable): Called with the number of a stage, the drop-path probability of each of
            its blocks and the size ``(h, w)`` of its maps at ``img_size``; returns the stage.
        stem_size (Callable): Called with a side of an image; returns that of the stem's maps.
        embed_dims (Sequence[int]): Channels of each stage.
        depths (Sequence[int]): Blocks of each stage.
        next_size (Callable): Called with a side of a stage's maps; returns that of the next
            stage's. Defaults to half of it, rounded up.
        img_size (int | tuple[int, int]): See :class:`ResizableOptions`. Defaults to 224.
        resize_mode (str, optional): See :class:`ResizableOptions`. Defaults to None.
        **options: Common arguments.

    Attributes:
        sizes (list[tuple[int, int]]): Size ``(h, w)`` of each stage's feature maps that filters are
            stored for, also of stages that are not built.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    def __init__(
        self,
        *,
        stem: Callable[[int, tuple[int, int]], nn.Module],
        stage: Callable[[int, list[float], tuple[int, int]], nn.Module],
        stem_size: Callable[[int], int],
        embed_dims: Sequence[int],
        depths: Sequence[int],
        next_size: Callable[[int], int] = lambda side: -(-side // 2),
        img_size: int | tuple[int, int] = 224,
        resize_mode: str | None = None,
        **options: Unpack[BackboneOptions],
    ) -> None:
        height, width = to_pair(img_size)
        sizes = [(stem_size(height), stem_size(width))]
        while len(sizes) < len(depths):
            sizes.append((next_size(sizes[-1][0]), next_size(sizes[-1][1])))
        super().__init__(
            stem=lambda in_channels: stem(in_channels, sizes[0]),
            stage=lambda i, drop_paths: stage(i, drop_paths, sizes[i]),
            embed_dims=embed_dims,
            depths=depths,
            **options,
        )
        self.sizes = sizes
        self.requested_resize_mode = resize_mode
        self.register_buffer('filter_sizes', torch.tensor(sizes))
        self.register_buffer('resize_mode_id', torch.tensor(0, dtype=torch.uint8))
        self.set_resize_mode(resize_mode or 'kernel')
        self.register_load_state_dict_pre_hook(_fit_stored_sizes)
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
            if isinstance(module, Resizable):
                module.resize_mode = mode

    def from_released(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Rename the tensors of a checkpoint that the authors of the network released.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a file by name.

        Returns:
            dict[str, Tensor] | None: Tensors by this library's names, their layout changed where
            the original's differs, but 1x1 convolutions for linear layers are right; None if the
            file is not a released one, as all are of a network whose authors released nothing.

        Raises:
            ValueError: If a tensor does not have a shape that it can have; the message names it.
        """
        return None

    def adapt_checkpoint(
        self, state_dict: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Rename a released checkpoint and resize filters to this model's size.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a released checkpoint or of this class.

        Returns:
            tuple[dict[str, Tensor], list[str]]: Tensors by this model's names, and the names of
            those that were resized.

        Raises:
            ValueError: If a filter does not have the shape that belongs to it.
        """
        mode = self.requested_resize_mode
        released = self.from_released(state_dict)
        if released is not None:
            state_dict = _as_linear(released, self.state_dict())
            mode = mode or 'interpolate'
        elif 'resize_mode_id' in state_dict:
            mode = mode or self._mode_of(state_dict['resize_mode_id'])
        mode = mode or 'kernel'
        old_sizes = state_dict.get('filter_sizes')
        adapted = {
            **state_dict,
            'filter_sizes': self.filter_sizes,
            'resize_mode_id': torch.tensor(RESIZE_MODES.index(mode)),
        }
        resized = []
        for stage, name, module in self._resizable_modules():
            if name not in state_dict:
                continue
            weight = state_dict[name]
            if old_sizes is None:  # a released one
                old = module.released_size(weight)
            elif old_sizes.ndim == 2 and len(old_sizes) > stage and old_sizes.shape[1] == 2:
                old = (int(old_sizes[stage, 0]), int(old_sizes[stage, 1]))
            else:
                raise ValueError(f'filter_sizes has the shape {tuple(old_sizes.shape)}')
            try:
                is_ours = released is None or self.requested_resize_mode is not None
                how = mode if is_ours else module.released_mode
                adapted[name] = module.resize(weight, old, module.size, how)
            except ValueError as error:
                raise ValueError(f'{name}: {error}') from error
            if old != module.size:
                resized.append(name)
        return adapted, resized

    def _resizable_modules(self) -> Iterator[tuple[int, str, Resizable]]:
        """Number of the stage, name of the weight and module of each resizable parameter."""
        for i, stage in enumerate(self.stages):
            for name, module in stage.named_modules(prefix=f'stages.{i}'):
                if isinstance(module, Resizable):
                    yield i, f'{name}.weight', module

    def _mode_of(self, resize_mode_id: Tensor) -> str:
        return stored_choice(resize_mode_id, RESIZE_MODES, 'resize_mode_id')


def _as_linear(tensors: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of 1x1 convolutions as those of linear layers, where a network has these."""
    return {
        name: tensor.flatten(1)
        if name in own and own[name].ndim == 2 and tensor.shape[2:] == (1, 1)
        else tensor
        for name, tensor in tensors.items()
    }


def _fit_stored_sizes(
    model: nn.Module,
    state_dict: dict[str, Any],
    prefix: str,
    _metadata: dict,
    _strict: bool,
    _missing: list[str],
    _unexpected: list[str],
    errors: list[str],
) -> None:
    """Resize what a ``state_dict`` stores for another size, before it is loaded.

    MMEngine's own ``load_state_dict`` calls this, too.
    """
    assert isinstance(model, ResizableBackbone)
    stored = state_dict.get(f'{prefix}filter_sizes')
    # Other numbers of stages are another arch: PyTorch says what does not fit.
    if stored is None or stored.shape != model.filter_sizes.shape:
        return
    if stored.tolist() == [list(size) for size in model.sizes]:
        return
    names = [name for name in state_dict if name.startswith(prefix)]
    try:
        adapted, resized = model.adapt_checkpoint(
            {name.removeprefix(prefix): state_dict[name] for name in names}
        )
    except ValueError as error:
        errors.append(f'{prefix}{error}')
        return
    state_dict.update({name: adapted[name.removeprefix(prefix)] for name in names})
    if resized:
        print_log(
            f'{type(model).__name__}: resized {len(resized)} tensors of a checkpoint with maps of '
            f'{tuple(stored[0].tolist())} behind the stem to {model.sizes[0]}',
            logger='current',
        )


def _follow_stored_resize_mode(model: nn.Module, _incompatible_keys: object) -> None:
    assert isinstance(model, ResizableBackbone)
    model.set_resize_mode(model.requested_resize_mode or model._mode_of(model.resize_mode_id))
