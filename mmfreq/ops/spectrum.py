"""Spectra as pairs of real tensors, computed by any backend."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import Tensor

from mmfreq.ops.choice import choose_kernel
from mmfreq.ops.kernels import fft, gemm

__all__ = ['FROM_PARTS', 'TO_PARTS', 'from_parts', 'to_parts']

Kernel = TypeVar('Kernel')

# Images and norm, as in to_parts; real and imaginary part, width and norm, as in from_parts.
TO_PARTS: dict[str, Callable[[Tensor, str], tuple[Tensor, Tensor]]] = {
    'fft': fft.to_parts,
    'gemm': gemm.to_parts,
}
FROM_PARTS: dict[str, Callable[[Tensor, Tensor, int, str], Tensor]] = {
    'fft': fft.from_parts,
    'gemm': gemm.from_parts,
}


def to_parts(x: Tensor, norm: str = 'ortho', backend: str = 'auto') -> tuple[Tensor, Tensor]:
    """Real and imaginary part of the half spectrum of real images.

    Args:
        x (Tensor): Real images, shape ``(..., H, W)``; float16 and bfloat16 are transformed in
            float32 with autocast off.
        norm (str): As in ``torch.fft``. Defaults to ``'ortho'``.
        backend (str): See :mod:`mmfreq.ops.choice`; ``'mixed'`` and ``'triton'`` mean ``'fft'``
            here. Defaults to ``'auto'``.

    Returns:
        tuple[Tensor, Tensor]: Each of shape ``(..., H, W // 2 + 1)``, float64 for float64 and
        float32 else; views of one tensor.
    """
    return _chosen(TO_PARTS, backend, x, x.shape[-1])(x, norm)


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
    return _chosen(FROM_PARTS, backend, real, width)(real, imag, width, norm)


def _chosen(kernels: Mapping[str, Kernel], backend: str, x: Tensor, width: int) -> Kernel:
    channels = x.shape[-3] if x.ndim > 2 else 1
    return choose_kernel(kernels, backend, x, (x.shape[-2], width), channels)
