"""The modulations of FDConv: attentions for its kernels and for frequency bands of its input.

Each starts at one and stays there whatever a network's initialiser does: their last layers are
plain parameters, which no initialiser knows.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfreq.models.layers import SpectralModule
from mmfreq.models.pointwise import StarReLU
from mmfreq.models.pretrained import stored_choice
from mmfreq.ops.bands import BAND_MASKS, low_pass

__all__ = ['BandModulation', 'GlobalAttention', 'LocalAttention']


class GlobalAttention(nn.Module):
    """Attentions over input channels, filters, kernel positions and groups of coefficients.

    Args:
        kernel_shape (tuple[int, int, int, int]): ``(O, I, k, k)``.
        kernel_num (int): Number of groups of coefficients.
        kernel_temp (float): Temperature of the attention over groups.
        temp (float, optional): That of the others; None for the same.
    """

    def __init__(
        self,
        kernel_shape: tuple[int, int, int, int],
        kernel_num: int,
        kernel_temp: float,
        temp: float | None,
    ) -> None:
        super().__init__()
        out_channels, in_channels, side, _ = kernel_shape
        hidden = max(in_channels // 16, 16)
        self.kernel_temp = kernel_temp
        self.temp = kernel_temp if temp is None else temp
        self.fc = nn.Linear(in_channels, hidden, bias=False)
        self.bn = nn.BatchNorm1d(hidden)
        self.act = StarReLU()
        self.channel = ZeroLinear(hidden, in_channels)
        self.filter = ZeroLinear(hidden, out_channels)
        self.spatial = ZeroLinear(hidden, side * side) if side > 1 else None
        self.kernel = ZeroLinear(hidden, kernel_num)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Compute attentions, each between 0 and 2.

        Args:
            pooled (Tensor): Means of the input over positions, shape ``(B, I)``.

        Returns:
            tuple[Tensor]: Over input channels ``(B, I)``, filters ``(B, O)``, kernel positions
            ``(B, k * k)`` (None for 1x1) and groups ``(B, kernel_num)``.
        """
        x = self.fc(pooled.to(self.fc.weight.dtype))
        if self.bn.training and len(x) == 1:  # one value per channel has no variance
            bn = self.bn
            x = F.batch_norm(
                x, bn.running_mean, bn.running_var, bn.weight, bn.bias, training=False, eps=bn.eps
            )
        else:
            x = self.bn(x)
        x = self.act(x).to(pooled.dtype)
        channel, filter_, kernel = self.channel(x), self.filter(x), self.kernel(x)
        return (
            2 * torch.sigmoid(channel / self.temp),
            2 * torch.sigmoid(filter_ / self.temp),
            None if self.spatial is None else 2 * torch.sigmoid(self.spatial(x) / self.temp),
            2 * torch.sigmoid(kernel / self.kernel_temp),
        )


class LocalAttention(nn.Module):
    """Attention over all weights of a kernel, by a convolution along the input channels.

    Args:
        kernel_shape (tuple[int, int, int, int]): ``(O, I, k, k)``.
    """

    def __init__(self, kernel_shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        out_channels, in_channels, side, _ = kernel_shape
        # The width that efficient channel attention, arXiv 1910.03151, has for so many channels.
        width = round(math.log2(in_channels) / 2 + 0.5) // 2 * 2 + 1
        self.norm = nn.LayerNorm(in_channels)
        self.weight = nn.Parameter(torch.zeros(out_channels * side * side, 1, width))

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise the means of the input and cut them into windows of neighbouring channels.

        Args:
            pooled (Tensor): Shape ``(B, I)``.

        Returns:
            tuple[Tensor, Tensor]: Windows ``(B, I, width)``, and weights ``(O * k * k, width)`` for
            them; see :class:`mmfreq.ops.composition.Attentions`.
        """
        weight = self.weight.flatten(1).to(pooled.dtype)
        x = self.norm(pooled.to(self.norm.weight.dtype)).to(pooled.dtype)
        width = weight.shape[1]
        return F.pad(x, (width // 2, width // 2)).unfold(1, width, 1), weight


class BandModulation(SpectralModule):
    """Frequency bands of the input, each weighted by a map between 0 and 2.

    Args:
        dim (int): Number of channels.
        factors (Sequence[int]): Band edges are 1 / (2 * factor) cycles per pixel, descending.
        masks (str, optional): See :class:`FDConv`.
    """

    masks_id: Tensor

    def __init__(self, dim: int, factors: Sequence[int], masks: str | None) -> None:
        super().__init__()
        self.factors = factors
        self.requested_masks = masks
        self.weight = nn.Parameter(torch.zeros(len(factors), dim, 3, 3))
        self.bias = nn.Parameter(torch.zeros(len(factors)))
        masks_id = torch.tensor(BAND_MASKS.index(masks or 'exact'), dtype=torch.uint8)
        self.register_buffer('masks_id', masks_id)
        self.masks = masks or 'exact'
        self.register_load_state_dict_post_hook(_follow_stored_masks)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the bands of features ``(B, C, H, W)``; what is below all of them passes."""
        gains = self.gains(x)
        lows = low_pass(x, self.factors, self.masks, self.backend)
        # Gains of one change nothing, not even by rounding.
        steps = torch.cat([gains, torch.ones_like(gains[:, :1])], 1).diff(dim=1)
        y = x * gains[:, :1]
        for i, low in enumerate(lows):
            y = torch.addcmul(y, steps[:, i : i + 1], low)
        return y

    def gains(self, x: Tensor) -> Tensor:
        """Map of each band, between 0 and 2, shape ``(B, bands, H, W)``."""
        return 2 * torch.sigmoid(F.conv2d(x, self.weight, self.bias, padding=1))

    def adapt_state_dict(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Stack the original's convolutions, see :meth:`FDConv.adapt_state_dict`."""
        for part in ('weight', 'bias'):
            names = [
                f'{prefix}FBM.freq_weight_conv_list.{i}.{part}' for i in range(len(self.factors))
            ]
            if all(name in state_dict for name in names):
                stacked = torch.cat([state_dict.pop(name) for name in names])
                state_dict[f'{prefix}bands.{part}'] = stacked


class ZeroLinear(nn.Module):
    """Linear layer that starts at zero; not an ``nn.Linear``, which networks initialise.

    Args:
        in_dim (int): Number of input channels.
        dim (int): Number of output channels.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim, in_dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_dim)`` to ``(B, dim)``."""
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


def _follow_stored_masks(bands: nn.Module, _incompatible_keys: object) -> None:
    assert isinstance(bands, BandModulation)
    stored = stored_choice(bands.masks_id, BAND_MASKS, 'masks_id')
    bands.masks = bands.requested_masks or stored
