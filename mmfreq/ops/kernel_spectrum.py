"""Convolution kernels in the frequency domain, for FDConv.

The weights of a convolution form one image: its ``O * k`` rows are output channels and kernel rows,
its ``I * k`` columns input channels and kernel columns. FDConv (arXiv 2503.18783) stores that
image's spectrum and splits the coefficients into disjoint groups by frequency.
"""

import torch
from torch import Tensor

from mmfreq.ops.fft import rfft2
from mmfreq.ops.spectrum import from_parts

__all__ = ['GROUP_ORDERS', 'frequency_groups', 'kernel_to_spectrum', 'spectrum_to_kernel']

GROUP_ORDERS = ('exact', 'float32')


def kernel_to_spectrum(kernel: Tensor) -> Tensor:
    """Spectrum of the weights of a convolution.

    Args:
        kernel (Tensor): Weights of shape ``(O, I, k, k)``.

    Returns:
        Tensor: Real and imaginary parts of the half spectrum, not normalised, shape
        ``(O * k, I * k // 2 + 1, 2)``.
    """
    out_channels, in_channels, height, width = kernel.shape
    image = kernel.transpose(1, 2).reshape(out_channels * height, in_channels * width)
    return torch.view_as_real(rfft2(image, norm='backward'))


def spectrum_to_kernel(
    spectrum: Tensor, shape: tuple[int, int, int, int], backend: str = 'auto'
) -> Tensor:
    """Inverse of :func:`kernel_to_spectrum`, for any half spectrum.

    Args:
        spectrum (Tensor): Real and imaginary parts, shape ``(..., O * k, I * k // 2 + 1, 2)``.
        shape (tuple[int, int, int, int]): ``(O, I, k, k)``.
        backend (str): See :mod:`mmfreq.ops.choice`. Defaults to ``'auto'``.

    Returns:
        Tensor: Weights of shape ``(..., O, I, k, k)``.
    """
    out_channels, in_channels, height, width = shape
    real, imag = spectrum.unbind(-1)
    image = from_parts(real, imag, in_channels * width, 'backward', backend)
    image = image.unflatten(-2, (out_channels, height)).unflatten(-1, (in_channels, width))
    return image.transpose(-3, -2)


def frequency_groups(size: tuple[int, int], num_groups: int, order: str = 'exact') -> Tensor:
    """Split the coefficients of a half spectrum into groups of rising frequency.

    Coefficients are ordered by their distance from zero frequency, in cycles per pixel; equal ones
    keep their order in memory. Groups have equal sizes if the number of coefficients allows, else
    sizes that differ by one. Distances are compared

    * ``'exact'``, **correct**: as integers.
    * ``'float32'``, **faithful** to the original: rounded as its norms of frequencies. With 3x3
      kernels a few coefficients next to a border are in another group: 40 of 18624 for 64 channels.

    Args:
        size (tuple[int, int]): Size ``(h, w)`` of the image.
        num_groups (int): Number of groups.
        order (str): ``'exact'`` or ``'float32'``. Defaults to ``'exact'``.

    Returns:
        Tensor: Number of the group of each coefficient, int64, shape ``(h, w // 2 + 1)``.
    """
    height, width = size
    if order == 'float32':
        distance = _rounded_distance(height, width).flatten()
    else:
        assert order == 'exact', order
        rows = torch.arange(height)
        rows = torch.minimum(rows, height - rows)
        columns = torch.arange(width // 2 + 1)
        distance = ((rows[:, None] * width) ** 2 + (columns * height) ** 2).flatten()
    groups = torch.empty(len(distance), dtype=torch.int64)
    groups[distance.argsort(stable=True)] = (
        torch.arange(len(distance)) * num_groups // len(distance)
    )
    return groups.reshape(height, -1)


def _rounded_distance(height: int, width: int) -> Tensor:
    """``torch.norm`` of float32 frequencies as on CPUs with AVX2, but the same on every machine.

    Rounded are a row's square, its sum with a column's exact square, and the root of that.
    """
    rows = torch.fft.fftfreq(height, dtype=torch.float32)[:, None]
    columns = torch.fft.rfftfreq(width, dtype=torch.float32)
    squares = (rows.square().double() + columns.double().square()).float()
    return squares.double().sqrt().float()
