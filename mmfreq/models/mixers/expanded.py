"""Token mixers between two linear layers: expand the channels, mix positions, project back."""

from torch import Tensor, nn

from mmfreq.models.layers import move_channels_first
from mmfreq.models.mixers.global_filter import GlobalFilter
from mmfreq.models.mixers.recursive_gate import DepthwiseConv
from mmfreq.models.mixers.resizable_filter import ResizableFilter
from mmfreq.models.pointwise import Linear, Mlp, StarReLU
from mmfreq.ops import dynamic_filter2d

__all__ = ['DynamicFilter', 'ExpandedGlobalFilter', 'ExpandedMixer', 'SeparableConv']


class ExpandedMixer(nn.Module):
    """Base: ``pwconv2(mix(star_relu(pwconv1(x)), x))``; the linear layers have no bias.

    Args:
        dim (int): Number of channels ``C``.
        expansion (int): Channels between the linear layers per channel. Defaults to 2.
    """

    def __init__(self, dim: int, expansion: int = 2) -> None:
        super().__init__()
        self.pwconv1 = Linear(dim, expansion * dim, bias=False)
        self.act = StarReLU()
        self.pwconv2 = Linear(expansion * dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape."""
        return self.pwconv2(self.mix(self.act(self.pwconv1(x)), x))

    def mix(self, expanded: Tensor, x: Tensor) -> Tensor:
        """Mix positions of the expanded features.

        Args:
            expanded (Tensor): Features of shape ``(B, H, W, expansion * C)``.
            x (Tensor): Input of the mixer, shape ``(B, H, W, C)``.

        Returns:
            Tensor: Features of the shape of ``expanded``.
        """
        raise NotImplementedError


class SeparableConv(ExpandedMixer):
    """Depthwise 7x7 convolution of ConvFormer and CDFFormer, arXiv 2210.13452, section 2.2.

    Args:
        dim (int): Number of channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.dwconv = DepthwiseConv(2 * dim, 7, bias=False)

    def mix(self, expanded: Tensor, x: Tensor) -> Tensor:
        """Convolve each channel, see :meth:`ExpandedMixer.mix`."""
        return self.dwconv(expanded)


class ExpandedGlobalFilter(ExpandedMixer):
    """Static filter per expanded channel, the mixer of GFFormer in arXiv 2303.03932.

    Args:
        dim (int): Number of channels.
        size (tuple[int, int]): Size ``(h, w)`` of the maps that the filters are stored for.
    """

    def __init__(self, dim: int, size: tuple[int, int]) -> None:
        super().__init__(dim)
        self.filters = GlobalFilter(2 * dim, size)

    def mix(self, expanded: Tensor, x: Tensor) -> Tensor:
        """Filter each channel, see :meth:`ExpandedMixer.mix`."""
        return self.filters(expanded)


class DynamicFilter(ExpandedMixer):
    """Dynamic filter of DFFormer, arXiv 2303.03932, section 3.2.

    Each sample and expanded channel has a filter of its own, a convex combination of a few basis
    filters that all channels share. A small MLP computes the coefficients from the mean of ``x``
    over positions, before the expansion.

    Args:
        dim (int): Number of channels.
        size (tuple[int, int]): Size ``(h, w)`` of the maps that the filters are stored for.
        num_filters (int): Number of basis filters. Defaults to 4.
        reweight_ratio (float): Hidden channels of the MLP per channel. Defaults to 0.25.
    """

    def __init__(
        self,
        dim: int,
        size: tuple[int, int],
        num_filters: int = 4,
        reweight_ratio: float = 0.25,
    ) -> None:
        super().__init__(dim)
        hidden_dim = int(reweight_ratio * dim)
        if num_filters < 1 or hidden_dim < 1:
            raise ValueError(
                f'num_filters must be positive and reweight_ratio * {dim} at least 1, got '
                f'num_filters={num_filters} and reweight_ratio={reweight_ratio}'
            )
        self.filters = ResizableFilter(num_filters, size)
        self.reweight = Mlp(dim, hidden_dim, num_filters * 2 * dim, act=StarReLU, bias=False)

    def mix(self, expanded: Tensor, x: Tensor) -> Tensor:
        """Filter each channel of each sample, see :meth:`ExpandedMixer.mix`."""
        basis = self.filters.filter_for((x.shape[1], x.shape[2]))
        filtered = dynamic_filter2d(
            move_channels_first(expanded), basis, self.coefficients(x), self.filters.backend
        )
        return filtered.permute(0, 2, 3, 1)

    def coefficients(self, x: Tensor) -> Tensor:
        """Share of each basis filter.

        Args:
            x (Tensor): Input of the mixer, shape ``(B, H, W, C)``.

        Returns:
            Tensor: Coefficients of shape ``(B, N, 2 * C)``, which add up to one over N.
        """
        logits = self.reweight(x.mean((1, 2)))
        return logits.unflatten(-1, (len(self.filters.weight), -1)).softmax(dim=1)
