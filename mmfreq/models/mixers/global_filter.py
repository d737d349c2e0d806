"""Global filter: one learned filter per channel, as large as the feature map."""

from torch import Tensor

from mmfreq.models.mixers.resizable_filter import ResizableFilter
from mmfreq.ops import spectral_filter2d

__all__ = ['GlobalFilter']


class GlobalFilter(ResizableFilter):
    """Static spectral filter of GFNet, arXiv 2107.00645, section 3.2; one filter per channel.

    See :class:`ResizableFilter` for the arguments; ``num_filters`` is the number of channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Filter features.

        Args:
            x (Tensor): Features, channels-last, shape ``(B, H, W, C)``.

        Returns:
            Tensor: Filtered features, same shape and dtype.
        """
        weight = self.filter_for((x.shape[1], x.shape[2]))
        filtered = spectral_filter2d(x.permute(0, 3, 1, 2), weight, self.backend)
        return filtered.permute(0, 2, 3, 1)
