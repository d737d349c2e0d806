"""Spectra as pairs of real tensors, computed by any backend."""

import torch
from torch import Tensor

from mmfreq.ops.choice import choose_backend
from mmfreq.ops.fft import compute_dtype, irfft2, rfft2
from mmfreq.ops.kernels.gemm import irdft2, rdft2

__all__ = ['from_parts', 'product_of_parts', 'to_parts']


def to_parts(x: Tensor, norm: str = 'ortho', backend: str = 'auto') -> tuple[Tensor, Tensor]:
    """Real and imaginary part of the half spectrum of real images.

    Args:
        x (Tensor): Real images, shape ``(..., H, W)``; float16 and bfloat16 are transformed in
            float32 with autocast off.
        norm (str): As in ``torch.fft``. Defaults to ``'ortho'``.
        backend (str): See :mod:`mmfreq.ops.choice`; there is no Triton kernel for this, which
            means ``'fft'`` then. Defaults to ``'auto'``.

    Returns:
        tuple[Tensor, Tensor]: Each of shape ``(..., H, W // 2 + 1)``, float64 for float64 and
        float32 else; views of one tensor.
    """
    height, width = x.shape[-2:]
    if _chosen(x, backend, width) == 'gemm':
        with torch.autocast(x.device.type, enabled=False):
            real, imag = rdft2(x.to(compute_dtype(x)))
            scale = _scale(height * width, norm)
            return (real, imag) if scale == 1 else (real * scale, imag * scale)
    real, imag = torch.view_as_real(rfft2(x, norm)).unbind(-1)
    return real, imag


def from_parts(
    real: Tensor, imag: Tensor, width: int, norm: str = 'ortho', backend: str = 'auto'
) -> Tensor:
    """Images of a half spectrum, Hermitian or not; the inverse of :func:`to_parts`.

    Args:
        real (Tensor): Real part, shape ``(..., H, W // 2 + 1)``.
        imag (Tensor): Imaginary part, same shape.
        width (int): Width ``W`` of the images.
        norm (str): As given to :func:`to_parts`. Defaults to ``'ortho'``.
        backend (str): As in :func:`to_parts`. Defaults to ``'auto'``.

    Returns:
        Tensor: Images of shape ``(..., H, W)``.
    """
    height = real.shape[-2]
    if _chosen(real, backend, width) == 'gemm':
        with torch.autocast(real.device.type, enabled=False):
            images = irdft2(real, imag, width)
            scale = _scale(height * width, norm)
            return images if scale == 1 else images / scale
    return irfft2(torch.complex(real, imag), (height, width), norm)


def product_of_parts(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Product of complex numbers, in real arithmetic.

    Args:
        a (tuple[Tensor, Tensor]): Real and imaginary part.
        b (tuple[Tensor, Tensor]): Real and imaginary part, of the same shape.

    Returns:
        tuple[Tensor, Tensor]: Real and imaginary part of ``a * b``.
    """
    real = torch.addcmul(a[0] * b[0], a[1], b[1], value=-1)
    return real, torch.addcmul(a[0] * b[1], a[1], b[0])


def _chosen(x: Tensor, backend: str, width: int) -> str:
    channels = x.shape[-3] if x.ndim > 2 else 1
    return choose_backend(backend, x, (x.shape[-2], width), channels)


def _scale(size: int, norm: str) -> float:
    """Factor between an orthonormal spectrum of ``size`` pixels and one of another norm."""
    return {'ortho': 1.0, 'backward': size**0.5, 'forward': size**-0.5}[norm]
