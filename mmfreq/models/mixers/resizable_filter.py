"""Spectral filters that are stored for one size of feature maps and used at any."""

import torch
from torch import Tensor, nn

from mmfreq.models.layers import SpectralModule
from mmfreq.models.mixers.resizable import Resizable
from mmfreq.ops import resize_filter
from mmfreq.ops.derived import forget
from mmfreq.ops.resize import resize_filter_once
from mmfreq.ops.tracing import is_exported

__all__ = ['ResizableFilter']


class ResizableFilter(Resizable, SpectralModule):
    """Learned spectral filters, resized to every other size than the stored one.

    In eval mode without gradients, resized filters are kept for the last few sizes.

    Args:
        num_filters (int): Number of filters ``N``.
        size (tuple[int, int]): Size ``(h, w)`` of the feature maps that filters are stored for.
        resize_mode (str): How filters are resized, see :func:`mmfreq.ops.resize_filter`.
            Defaults to ``'kernel'``.
        interpolation (str): Of the mode ``'interpolate'``, see there. Defaults to ``'bicubic'``.

    Attributes:
        backend (str): What computes the filters, see :mod:`mmfreq.ops.choice`.
        weight (nn.Parameter): Real and imaginary parts, shape ``(N, h, w // 2 + 1, 2)``, drawn from
            a normal distribution with a standard deviation of 0.02.
    """

    def __init__(
        self,
        num_filters: int,
        size: tuple[int, int],
        resize_mode: str = 'kernel',
        interpolation: str = 'bicubic',
    ) -> None:
        super().__init__(size, resize_mode)
        self.interpolation = interpolation
        self.weight = nn.Parameter(0.02 * torch.randn(num_filters, size[0], size[1] // 2 + 1, 2))

    def filter_for(self, size: tuple[int, int]) -> Tensor:
        """Filters for feature maps of another size.

        Args:
            size (tuple[int, int]): Size ``(H, W)`` of the feature maps.

        Returns:
            Tensor: Filters of shape ``(N, H, W // 2 + 1, 2)``.
        """
        if size == self.size:
            return self.weight
        how = (self.size, size, self.resize_mode, self.interpolation)
        if self.training or torch.is_grad_enabled() or is_exported():
            return resize_filter(self.weight, *how)
        return resize_filter_once(self.weight, *how)

    def resize(
        self, weight: Tensor, old_size: tuple[int, int], new_size: tuple[int, int], mode: str
    ) -> Tensor:
        """See :meth:`Resizable.resize` and :func:`mmfreq.ops.resize_filter`."""
        return resize_filter(weight, old_size, new_size, mode, self.interpolation)

    def released_size(self, weight: Tensor) -> tuple[int, int]:
        """See :meth:`Resizable.released_size`; maps are square."""
        return (weight.shape[1], weight.shape[1]) if weight.ndim == 4 else (0, 0)

    def train(self, mode: bool = True) -> 'ResizableFilter':
        """Switch between training and evaluation; training holds no resized filters."""
        if mode:
            forget(self.weight)
        super().train(mode)
        return self

    def extra_repr(self) -> str:
        """Describe the layer when a model is printed."""
        return f'{len(self.weight)}, size={self.size}, resize_mode={self.resize_mode!r}'
