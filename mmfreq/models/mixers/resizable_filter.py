"""Spectral filters that are stored for one size of feature maps and used at any."""

import torch
from torch import Tensor, nn

from mmfreq.models.layers import SpectralModule
from mmfreq.ops import resize_filter
from mmfreq.ops.derived import forget
from mmfreq.ops.resize import check_resize_mode, resize_filter_once
from mmfreq.ops.tracing import is_exported

__all__ = ['ResizableFilter']


class ResizableFilter(SpectralModule):
    """Learned spectral filters, resized to every other size than the stored one.

    In eval mode without gradients, resized filters are kept for the last few sizes.

    Args:
        num_filters (int): Number of filters ``N``.
        size (tuple[int, int]): Size ``(h, w)`` of the feature maps that filters are stored for.
        resize_mode (str): How filters are resized, see :func:`mmfreq.ops.resize_filter`.
            Defaults to ``'kernel'``.

    Attributes:
        backend (str): What computes the filters, see :mod:`mmfreq.ops.choice`.
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

    def filter_for(self, size: tuple[int, int]) -> Tensor:
        """Filters for feature maps of another size.

        Args:
            size (tuple[int, int]): Size ``(H, W)`` of the feature maps.

        Returns:
            Tensor: Filters of shape ``(N, H, W // 2 + 1, 2)``.
        """
        if size == self.size:
            return self.weight
        old_size, mode = self.size, self.resize_mode
        if self.training or torch.is_grad_enabled() or is_exported():
            return resize_filter(self.weight, old_size, size, mode)
        return resize_filter_once(self.weight, old_size, size, mode)

    def train(self, mode: bool = True) -> 'ResizableFilter':
        """Switch between training and evaluation; training holds no resized filters."""
        if mode:
            forget(self.weight)
        super().train(mode)
        return self

    def extra_repr(self) -> str:
        """Describe the layer when a model is printed."""
        return f'{len(self.weight)}, size={self.size}, resize_mode={self.resize_mode!r}'
