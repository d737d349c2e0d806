"""Global filter: one learned filter per channel, as large as the feature map."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from mmfreq.ops import resize_filter, spectral_filter2d
from mmfreq.ops.resize import check_resize_mode

__all__ = ['GlobalFilter']

MAX_CACHED_SIZES = 4  # a detector meets a new size with nearly every image: keep memory bounded


class GlobalFilter(nn.Module):
    """Static spectral filter of GFNet, arXiv 2107.00645, section 3.2.

    The filter is stored for feature maps of one size and resized to every other size it meets.
    In eval mode without gradients, resized filters are kept for the last few sizes.

    Args:
        dim (int): Number of channels ``C``.
        size (tuple[int, int]): Size ``(h, w)`` of the feature maps that the filter is stored for.
        resize_mode (str): How the filter is resized, see :func:`mmfreq.ops.resize_filter`.
            Defaults to ``'kernel'``.

    Attributes:
        weight (nn.Parameter): Real and imaginary parts, shape ``(C, h, w // 2 + 1, 2)``, drawn from
            a normal distribution with a standard deviation of 0.02.
    """

    def __init__(self, dim: int, size: tuple[int, int], resize_mode: str = 'kernel') -> None:
        super().__init__()
        check_resize_mode(resize_mode)
        self.size = size
        self.resize_mode = resize_mode
        self.weight = nn.Parameter(0.02 * torch.randn(dim, size[0], size[1] // 2 + 1, 2))
        self._cache = _ResizedFilters()

    def forward(self, x: Tensor) -> Tensor:
        """Filter features.

        Args:
            x (Tensor): Features, channels-last, shape ``(B, H, W, C)``.

        Returns:
            Tensor: Filtered features, same shape and dtype.
        """
        weight = self.filter_for((x.shape[1], x.shape[2]))
        return spectral_filter2d(x.permute(0, 3, 1, 2), weight).permute(0, 2, 3, 1)

    def filter_for(self, size: tuple[int, int]) -> Tensor:
        """Filter for feature maps of another size.

        Args:
            size (tuple[int, int]): Size ``(H, W)`` of the feature maps.

        Returns:
            Tensor: Filter of shape ``(C, H, W // 2 + 1, 2)``.
        """
        if size == self.size:
            return self.weight
        if self.training or torch.is_grad_enabled():
            return resize_filter(self.weight, self.size, size, self.resize_mode)
        return self._cache.get(self.weight, self.size, size, self.resize_mode)

    def train(self, mode: bool = True) -> 'GlobalFilter':
        """Switch between training and evaluation; training holds no resized filters."""
        if mode:
            self._cache.clear()
        return super().train(mode)

    def extra_repr(self) -> str:
        """Describe the layer when a model is printed."""
        return f'dim={len(self.weight)}, size={self.size}, resize_mode={self.resize_mode!r}'


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
