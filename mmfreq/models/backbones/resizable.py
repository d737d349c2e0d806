"""Backbones whose spectral filters are stored for one image size and resized to others."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.mixers.resizable_filter import ResizableFilter
from mmfreq.models.pretrained import stored_choice
from mmfreq.ops import RESIZE_MODES, resize_filter
from mmfreq.ops.resize import check_resize_mode

__all__ = ['ResizableBackbone']


class ResizableBackbone(StagedBackbone):
    """Adds to :class:`StagedBackbone` how filters follow the size of images and checkpoints.

    A ``state_dict`` of this network at another ``img_size`` is resized when it is loaded, also as a
    part of a whole model's.

    Args:
        sizes (Sequence[tuple[int, int]]): Size ``(h, w)`` of each stage's feature maps that filters
            are stored for, also of stages that are not built.
        resize_mode (str, optional): How filters are resized, see :func:`mmfreq.ops.resize_filter`.
            None: ``'interpolate'`` once a released checkpoint was loaded, ``'kernel'`` otherwise.
            That choice is stored in the ``state_dict``; an explicit one always wins.
        **kwargs: See :class:`StagedBackbone`.

    Raises:
        ValueError: If an argument is unknown or out of range; the message names it.
    """

    def __init__(
        self, *, sizes: Sequence[tuple[int, int]], resize_mode: str | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
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
            if isinstance(module, ResizableFilter):
                module.resize_mode = mode

    def from_released(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """Rename the tensors of a checkpoint that the authors of the network released.

        Args:
            state_dict (dict[str, Tensor]): Tensors of a file by name.

        Returns:
            dict[str, Tensor] | None: Tensors by this library's names, their layout changed where
            the original's differs; None if the file is not a released one.

        Raises:
            ValueError: If a tensor does not have a shape that it can have; the message names it.
        """
        raise NotImplementedError

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
            state_dict = released
            mode = mode or 'interpolate'
        elif 'resize_mode_id' in state_dict:
            mode = mode or _mode_of(state_dict['resize_mode_id'])
        mode = mode or 'kernel'
        old_sizes = state_dict.get('filter_sizes')
        adapted = {
            **state_dict,
            'filter_sizes': self.filter_sizes,
            'resize_mode_id': torch.tensor(RESIZE_MODES.index(mode)),
        }
        resized = []
        for module_name, module in self.named_modules():
            name = f'{module_name}.weight'
            if not isinstance(module, ResizableFilter) or name not in state_dict:
                continue
            weight, stage = state_dict[name], int(module_name.split('.')[1])
            if old_sizes is None:  # a released one: maps are square
                old = (weight.shape[1],) * 2 if weight.ndim == 4 else (0, 0)
            elif old_sizes.ndim == 2 and len(old_sizes) > stage and old_sizes.shape[1] == 2:
                old = (int(old_sizes[stage, 0]), int(old_sizes[stage, 1]))
            else:
                raise ValueError(f'filter_sizes has the shape {tuple(old_sizes.shape)}')
            try:
                adapted[name] = resize_filter(weight, old, module.size, mode)
            except ValueError as error:
                raise ValueError(f'{name}: {error}') from error
            if old != module.size:
                resized.append(name)
        return adapted, resized


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
    model.set_resize_mode(model.requested_resize_mode or _mode_of(model.resize_mode_id))


def _mode_of(resize_mode_id: Tensor) -> str:
    return stored_choice(resize_mode_id, RESIZE_MODES, 'resize_mode_id')
