"""Adaptive frequency filter: a mask on the spectrum, computed from the spectrum itself."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmfreq.models.layers import SpectralModule
from mmfreq.ops.choice import choose_kernel
from mmfreq.ops.fft import compute_dtype, irfft2, rfft2
from mmfreq.ops.layout import like
from mmfreq.ops.products import product_of_parts
from mmfreq.ops.spectrum import from_parts, to_parts
from mmfreq.ops.tracing import is_traced, without_autocast

__all__ = ['AdaptiveFilter']

NUM_BLOCKS = 8
SPARSITY_THRESHOLD = 0.01


class AdaptiveFilter(SpectralModule):
    """Token mixer of AFFNet with its residual: ``x + irfft2(mask(rfft2(x)) * rfft2(x))``.

    arXiv 2307.14008, equation 6. The mask is a complex MLP at each frequency: two linear layers,
    block-diagonal over channels, an activation on real and imaginary parts between them, and a soft
    threshold of 0.01 on both. All frequencies share its weights, so nothing depends on the map
    size.

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

    def forward(self, x: Tensor) -> Tensor:
        """Filter features ``(B, H, W, C)``; computed in fp32 or better with autocast off."""
        maps = x.permute(0, 3, 1, 2)
        height, width = maps.shape[-2:]
        with without_autocast(x.device):
            images = maps.to(compute_dtype(x, self.w1))
            kernel = choose_kernel(KERNELS, self.backend, maps, (height, width), maps.shape[1])
            filtered = like(images, kernel(self, images))
            return (maps + filtered).to(x.dtype).permute(0, 2, 3, 1)

    def mask(self, z: Tensor) -> Tensor:
        """Mask for a spectrum.

        Args:
            z (Tensor): Half spectrum, complex, shape ``(B, C, H, W // 2 + 1)``.

        Returns:
            Tensor: The mask, complex, same shape.
        """
        return self._mask_of_blocks(_blocks(z)).reshape(z.shape)

    def _mask_of_parts(self, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`mask` in real arithmetic: real and imaginary parts are channels of a block."""
        mask = self._mask_of_blocks(torch.cat([_blocks(real), _blocks(imag)], dim=2))
        mask_real, mask_imag = mask.chunk(2, dim=2)
        return mask_real.reshape(real.shape), mask_imag.reshape(real.shape)

    def _mask_of_blocks(self, blocks: Tensor) -> Tensor:
        hidden = _on_parts(self.act, _complex_linear(blocks, self.w1, self.b1))
        return _on_parts(_soft_threshold, _complex_linear(hidden, self.w2, self.b2))


def _by_fft(layer: AdaptiveFilter, images: Tensor) -> Tensor:
    if is_traced():  # graphs have complex numbers in the transforms only
        return _by_parts(layer, images, 'fft')
    z = rfft2(images)
    return irfft2(layer.mask(z) * z, (images.shape[-2], images.shape[-1]))


def _by_products(layer: AdaptiveFilter, images: Tensor) -> Tensor:
    return _by_parts(layer, images, 'gemm')


def _by_parts(layer: AdaptiveFilter, images: Tensor, backend: str) -> Tensor:
    parts = to_parts(images, backend=backend)
    product = product_of_parts(layer._mask_of_parts(*parts), parts)
    return from_parts(*product, images.shape[-1], backend=backend)


# Without the residual: the layer and features in the dtype to compute in, autocast is off.
KERNELS: dict[str, Callable[[AdaptiveFilter, Tensor], Tensor]] = {
    'fft': _by_fft,
    'gemm': _by_products,
}


def _blocks(x: Tensor) -> Tensor:
    """``(B, C, H, W')`` to ``(B, blocks, C / blocks, frequencies)``."""
    return x.unflatten(1, (NUM_BLOCKS, -1)).flatten(3)


def _complex_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Complex linear layer of each block as one product, with complex numbers or their parts."""
    real, imag = weight.transpose(-2, -1)  # each (blocks, out, in)
    if x.is_complex():
        matrix, shift = torch.complex(real, imag), torch.complex(*bias)
    else:
        matrix = torch.cat([torch.cat([real, -imag], -1), torch.cat([imag, real], -1)], -2)
        shift = torch.cat([bias[0], bias[1]], -1)
    return matrix.to(x.dtype) @ x + shift.to(x.dtype).unsqueeze(-1)


def _on_parts(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function to real and imaginary parts by themselves."""
    if x.is_complex():
        return torch.view_as_complex(function(torch.view_as_real(x)))
    return function(x)


def _soft_threshold(x: Tensor) -> Tensor:
    return F.softshrink(x, SPARSITY_THRESHOLD)
