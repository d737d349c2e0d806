"""Adaptive frequency filter: a mask on the spectrum, computed from the spectrum itself."""

import torch
import torch.nn.functional as F
from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.layout import like
from mmfreq.ops.spectrum import from_parts, product_of_parts, to_parts

__all__ = ['AdaptiveFilter']

NUM_BLOCKS = 8
SPARSITY_THRESHOLD = 0.01


class AdaptiveFilter(nn.Module):
    """Token mixer of AFFNet with its residual: ``x + irfft2(mask(rfft2(x)) * rfft2(x))``.

    arXiv 2307.14008, equation 6. The mask is a complex MLP at each frequency: two linear layers,
    block-diagonal over channels, an activation on real and imaginary parts between them, and a soft
    threshold of 0.01 on both. All frequencies share its weights, so nothing depends on the map
    size. Unlike the other mixers it takes features as ``(B, C, H, W)``.

    Args:
        dim (int): Number of channels ``C``, a multiple of 8.
        act_cfg (dict): Config of the activation.

    Raises:
        ValueError: If ``dim`` is not a multiple of 8.

    Attributes:
        w1, w2 (nn.Parameter): Real and imaginary parts of the weights, shape
            ``(2, 8, C // 8, C // 8)`` with the output channel last.
        b1, b2 (nn.Parameter): Those of the biases, shape ``(2, 8, C // 8)``.
    """

    def __init__(self, dim: int, act_cfg: dict) -> None:
        super().__init__()
        if dim < 1 or dim % NUM_BLOCKS:
            raise ValueError(
                f'AFFNet mixes channels in {NUM_BLOCKS} blocks and cannot divide {dim}'
            )
        block = dim // NUM_BLOCKS
        self.w1 = nn.Parameter(0.02 * torch.randn(2, NUM_BLOCKS, block, block))
        self.b1 = nn.Parameter(0.02 * torch.randn(2, NUM_BLOCKS, block))
        self.w2 = nn.Parameter(0.02 * torch.randn(2, NUM_BLOCKS, block, block))
        self.b2 = nn.Parameter(0.02 * torch.randn(2, NUM_BLOCKS, block))
        self.act = build_activation_layer(act_cfg)
        self.backend = 'auto'

    def forward(self, x: Tensor) -> Tensor:
        """Filter features ``(B, C, H, W)``; computed in fp32 or better with autocast off."""
        dtype = compute_dtype(x, self.w1)
        with torch.autocast(x.device.type, enabled=False):
            spectrum = to_parts(x.to(dtype), backend=self.backend)
            product = product_of_parts(self.mask(*spectrum), spectrum)
            filtered = from_parts(*product, x.shape[-1], backend=self.backend)
            return (x + like(x.to(dtype), filtered)).to(x.dtype)

    def mask(self, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        """Mask for a spectrum.

        Args:
            real (Tensor): Real part of the half spectrum, shape ``(B, C, H, W // 2 + 1)``.
            imag (Tensor): Its imaginary part, same shape.

        Returns:
            tuple[Tensor, Tensor]: Real and imaginary part of the mask, same shape.
        """
        # One real matrix product per layer: the channels of a block are all its real parts and
        # then all its imaginary parts.
        blocks = [part.unflatten(1, (NUM_BLOCKS, -1)).flatten(3) for part in (real, imag)]
        features = torch.cat(blocks, dim=2)  # (B, blocks, 2 * C / blocks, frequencies)
        hidden = self.act(_complex_linear(features, self.w1, self.b1))
        mask = F.softshrink(_complex_linear(hidden, self.w2, self.b2), SPARSITY_THRESHOLD)
        mask_real, mask_imag = mask.chunk(2, dim=2)
        return mask_real.reshape(real.shape), mask_imag.reshape(real.shape)


def _complex_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    real, imag = weight.to(x.dtype).transpose(-2, -1)  # each (blocks, out, in)
    matrix = torch.cat([torch.cat([real, -imag], -1), torch.cat([imag, real], -1)], -2)
    return matrix @ x + torch.cat([bias[0], bias[1]], -1).to(x.dtype).unsqueeze(-1)
