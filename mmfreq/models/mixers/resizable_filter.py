"""Spectral filters that are stored for one size of feature maps and used at any."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from mmfreq.ops import resize_filter
from mmfreq.ops.resize import check_resize_mode

__all__ = ['ResizableFilter']

MAX_CACHED_SIZES = 4  # a detector meets a new size with nearly every image: keep memory bounded


class ResizableFilter(nn.Module):
    """Learned spectral filters, resized to every other size than the stored one.

    In eval mode without gradients, resized filters are kept for the last few sizes.

    Args:
        num_filters (int): Number of filters ``N``.
        size (tuple[int, int]): Size ``(h, w)`` of the feature maps that filters are stored for.
        resize_mode (str): How filters are resized, see :func:`mmfreq.ops.resize_filter`.
            Defaults to ``'kernel'``.

    Attributes:
        weight (nn.Parameter): Real and imaginary parts, shape ``(N, h, w // 2 + 1, 2)``, drawn from
            a normal distribution with a standard deviation of 0.02.
    """

    def __init__(
        self, num_filters: int, size: tuple[int, int], resize_mode: str = 'kernel'
    ) -> None:
        super().__init__()
        check_resize_mode(resize_mode)
        self.size = size
        self.resize_mode = resize_mode
        self.weight = nn.Parameter(0.02 * torch.randn(num_filters, size[0], size[1] // 2 + 1, 2))
        self._cache = _ResizedFilters()

    def filter_for(self, size: tuple[int, int]) -> Tensor:
        """Filters for feature maps of another size.

        Args:
            size (tuple[int, int]): Size ``(H, W)`` of the feature maps.

        Returns:
            Tensor: Filters of shape ``(N, H, W // 2 + 1, 2)``.
        """
        if size == self.size:
            return self.weight
        if self.training or torch.is_grad_enabled():
            return resize_filter(self.weight, self.size, size, self.resize_mode)
        return self._cache.get(self.weight, self.size, size, self.resize_mode)

    def train(self, mode: bool = True) -> 'ResizableFilter':
        """Switch between training and evaluation; training holds no resized filters."""
        if mode:
            self._cache.clear()
        super().train(mode)
        return self

    def extra_repr(self) -> str:
        """Describe the layer when a model is printed."""
        return f'{len(self.weight)}, size={self.size}, resize_mode={self.resize_mode!r}'


class _ResizedFilters:
    """Resized filters of one layer by size, valid for one value of the layer's weight.

    The weight is compared by value with a copy of it. Version counters would be cheaper, but they
    do not see a write through ``.data``, which is how MMEngine's EMAHook swaps weights in and out.
    The comparison costs less than one percent of a forward pass.
    """

    def __init__(self) -> None:
        self._source: Tensor | None = None
        self._mode = ''
        self._filters: OrderedDict[tuple[int, int], Tensor] = OrderedDict()

    def get(
        self, weight: Tensor, old_size: tuple[int, int], size: tuple[int, int], mode: str
    ) -> Tensor:
        if not self._is_valid_for(weight, mode):
            self.clear()
            self._source, self._mode = weight.detach().clone(), mode
        if size not in self._filters:
            self._filters[size] = resize_filter(weight.detach(), old_size, size, mode)
            if len(self._filters) > MAX_CACHED_SIZES:
                self._filters.popitem(last=False)
        self._filters.move_to_end(size)
        return self._filters[size]

    def clear(self) -> None:
        self._source = None
        self._filters.clear()

    def _is_valid_for(self, weight: Tensor, mode: str) -> bool:
        source = self._source
        return (
            source is not None
            and self._mode == mode
            and source.dtype == weight.dtype
            and source.device == weight.device
            and torch.equal(source, weight)
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> '_ResizedFilters':
        return _ResizedFilters()  # derived data: the copy makes its own

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
