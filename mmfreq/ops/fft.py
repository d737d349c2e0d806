"""Fourier transforms of real images; nothing outside of ``mmfreq.ops`` calls ``torch.fft``.

Two rules hold for every transform here.

* **Precision.** cuFFT has no bfloat16 and takes float16 only for powers of two. The transforms run
  with autocast off in float32, or in float64 when the input is float64.
* **Hermitian symmetry.** The half spectrum of a real image holds each coefficient once, except for
  the DC column and, at an even width, the Nyquist column: there the rows ``+k`` and ``-k`` are
  conjugates of each other. A product with a learned filter breaks that. CPU libraries then use the
  Hermitian part of such a column, cuFFT may read one half of it and mirror it, and the two results
  differ by up to a quarter of the output's norm. :func:`irfft2` projects both columns on their
  Hermitian part first wherever that is not known to happen anyway, so that every device returns
  what the CPU returns.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmfreq.ops.layout import without_slow_strides
from mmfreq.ops.matrices import constant, shares
from mmfreq.ops.tracing import is_traced, without_autocast

__all__ = [
    'LowFrequencies',
    'centred_spectrum',
    'column_weights',
    'compute_dtype',
    'hermitian',
    'hermitian_for_inverse',
    'inverse_of_hermitian',
    'irfft2',
    'rfft2',
]


class LowFrequencies(NamedTuple):
    """Frequencies of a half spectrum up to several limits.

    Attributes:
        rows (tuple[int, ...]): Rows of the spectrum that any limit leaves, those of the lowest
            limit first.
        sizes (tuple[tuple[int, int], ...]): For each limit, how many of the first ``rows`` and of
            the first columns it leaves.
    """

    rows: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """Dtype in which spectral operations on ``tensors`` run.

    Args:
        *tensors (Tensor): Real or complex operands.

    Returns:
        torch.dtype: ``torch.float64`` when an operand has that precision, ``torch.float32`` else.
    """
    double = any(tensor.dtype in (torch.float64, torch.complex128) for tensor in tensors)
    return torch.float64 if double else torch.float32


def rfft2(x: Tensor, norm: str = 'ortho') -> Tensor:
    """2-D Fourier transform of real images, half spectrum.

    Contiguous and channels-last images are both read as they are and give contiguous spectra.

    Args:
        x (Tensor): Real images, shape ``(..., H, W)`` with ``H, W >= 1``. float16 and bfloat16 are
            transformed in float32.
        norm (str): ``'ortho'``, ``'backward'`` or ``'forward'``, as in ``torch.fft``.
            Defaults to ``'ortho'``.

    Returns:
        Tensor: Spectrum of shape ``(..., H, W // 2 + 1)``: complex128 for float64, complex64 else.

    Raises:
        TypeError: If ``x`` is complex.
        ValueError: If ``x`` has fewer than two dimensions or an empty image.
    """
    if x.is_complex():
        raise TypeError(f'rfft2 transforms real images, got a tensor of dtype {x.dtype}')
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f'rfft2 needs images of at least 1 x 1 pixels, got shape {tuple(x.shape)}')
    with without_autocast(x.device):
        dtype = compute_dtype(x)
        images = without_slow_strides(x, dtype) if x.ndim == 4 else x.to(dtype)
        if images.requires_grad and torch.is_grad_enabled() and not is_traced():
            return _RealTransform.apply(images, norm)
        return torch.fft.rfft2(images, norm=norm)


def irfft2(
    z: Tensor, s: tuple[int, int], norm: str = 'ortho', dtype: torch.dtype | None = None
) -> Tensor:
    """Inverse of :func:`rfft2` for any half spectrum, Hermitian or not.

    Args:
        z (Tensor): Half spectrum, complex, shape ``(..., H, W // 2 + 1)``.
        s (tuple[int, int]): Size ``(H, W)`` of the images. It has no default, because a half
            spectrum does not tell an odd width from an even one.
        norm (str): As given to :func:`rfft2`. Defaults to ``'ortho'``.
        dtype (torch.dtype, optional): Dtype of the result, usually that of the tensor that was
            given to :func:`rfft2`. Defaults to None: the real dtype of ``z``.

    Returns:
        Tensor: Real images of shape ``(..., H, W)``.

    Raises:
        TypeError: If ``z`` is not complex.
        ValueError: If the shape of ``z`` does not belong to images of size ``s``.
    """
    if not z.is_complex():
        raise TypeError(
            f'irfft2 needs a complex spectrum, got dtype {z.dtype}; '
            'apply torch.view_as_complex to a real (..., 2) tensor first'
        )
    height, width = s
    if height < 1 or width < 1 or z.shape[-2:] != (height, width // 2 + 1):
        raise ValueError(
            f'a spectrum of shape {tuple(z.shape)} does not belong to images of size {tuple(s)}: '
            f'its last two axes must be ({height}, {width // 2 + 1})'
        )
    images = inverse_of_hermitian(hermitian_for_inverse(z, width), s, norm)
    return images if dtype is None else images.to(dtype)


def inverse_of_hermitian(z: Tensor, s: tuple[int, int], norm: str = 'ortho') -> Tensor:
    """Inverse transform of a half spectrum that is known to belong to real images.

    Without the projection of :func:`irfft2`, and so without its copy of the spectrum. For any other
    spectrum the result depends on the device.

    Args:
        z (Tensor): Half spectrum, complex, shape ``(..., H, W // 2 + 1)``.
        s (tuple[int, int]): Size ``(H, W)`` of the images.
        norm (str): As in :func:`irfft2`. Defaults to ``'ortho'``.

    Returns:
        Tensor: Real images of shape ``(..., H, W)``.
    """
    with without_autocast(z.device):
        return torch.fft.irfft2(z, s=s, norm=norm)


class _RealTransform(torch.autograd.Function):
    """``torch.fft.rfft2`` with a gradient that is an inverse real transform.

    PyTorch's own gradient fills up the half spectrum with zeros and transforms complex images: four
    times the memory and more than twice the time.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, norm: str) -> Tensor:
        ctx.size, ctx.norm = (images.shape[-2], images.shape[-1]), norm
        return torch.fft.rfft2(images, norm=norm)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        halved = grad / column_weights(grad.real.dtype, grad.device, ctx.size[1])
        return irfft2(halved, ctx.size, _ADJOINT[ctx.norm]), None


_ADJOINT = {'ortho': 'ortho', 'backward': 'forward', 'forward': 'backward'}

column_weights = constant(shares)


def hermitian(z: Tensor, width: int) -> Tensor:
    """Project a half spectrum on the spectra that real images have.

    Args:
        z (Tensor): Half spectrum, complex, shape ``(..., H, W // 2 + 1)``.
        width (int): Width ``W`` of the images.

    Returns:
        Tensor: ``z`` with its DC column, and its Nyquist column at an even width, replaced by
        ``(z[k] + conj(z[-k])) / 2``. Other columns are unchanged.
    """

    def project(column: Tensor) -> Tensor:
        mirrored = column.flip(-2).roll(1, -2)  # row k becomes row -k
        return (column + mirrored.conj()) / 2

    columns = [project(z[..., :1])]
    if width % 2 == 1:
        columns.append(z[..., 1:])
    else:
        columns += [z[..., 1:-1], project(z[..., -1:])]
    return torch.cat(columns, dim=-1)


def hermitian_for_inverse(z: Tensor, width: int) -> Tensor:
    """A half spectrum whose inverse by :func:`inverse_of_hermitian` is the same on every device.

    Args:
        z (Tensor): Half spectrum, complex, shape ``(..., H, W // 2 + 1)``.
        width (int): Width ``W`` of the images.

    Returns:
        Tensor: Its projection, see :func:`hermitian`; on a CPU ``z`` itself, because PyTorch's CPU
        libraries use the Hermitian part by themselves.
    """
    return z if z.device.type == 'cpu' else hermitian(z, width)


def centred_spectrum(z: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Both halves of a half spectrum with frequency zero in the middle, for showing it.

    Args:
        z (Tensor): Half spectrum, complex, shape ``(..., H, W // 2 + 1)``.
        width (int): Width ``W`` of the images.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Spectrum of shape ``(..., H, W)``, and the frequencies of its
        rows and of its columns in cycles per pixel, ascending, from at least -1/2 to below 1/2.
    """
    z = hermitian(z, width)
    inner = z[..., 1 : (width + 1) // 2]
    negative = inner.flip((-2, -1)).roll(1, -2).conj()  # coefficient at (-u, -v)
    full = torch.fft.fftshift(torch.cat([z, negative], dim=-1), dim=(-2, -1))
    rows, columns = (torch.fft.fftshift(torch.fft.fftfreq(size)) for size in full.shape[-2:])
    return full, rows, columns
