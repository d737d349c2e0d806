"""Resizing of spectral filters to the size of another feature map."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfreq.ops.derived import derived
from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.spectrum import from_parts, to_parts
from mmfreq.ops.tracing import is_compiled, without_autocast

__all__ = ['RESIZE_MODES', 'check_resize_mode', 'resize_filter', 'resize_filter_once']


def resize_filter(
    weight: Tensor,
    old_size: tuple[int, int],
    new_size: tuple[int, int],
    mode: str = 'kernel',
    interpolation: str = 'bicubic',
) -> Tensor:
    """Resize spectral filters from feature maps of one size to those of another.

    * ``'interpolate'``, **faithful**: what GFNet, HorNet and DFFormer do, and what their published
      numbers were measured with. The filter is interpolated as an image with aligned corners,
      bilinear in HorNet, bicubic in the others. Along H the rows are in FFT order, so frequencies
      ``+f`` and ``-f`` are stretched from different anchors and get different gains: a smooth
      low-pass is off by 0.04 to 0.57.
    * ``'kernel'``, **correct**: the filter's impulse response, in pixels, is zero-padded or cropped
      around its centre. The response to an object stays the same on a larger map, as with the
      weights of a convolution.
    * ``'spectrum'``: coefficients keep their meaning in cycles per image; high frequencies are
      cropped or filled with zeros. A Nyquist row stands for both ``+H/2`` and ``-H/2``, so growing
      writes it to both places and shrinking averages them.

    Args:
        weight (Tensor): Filters as real and imaginary parts, shape ``(..., h, w // 2 + 1, 2)``.
        old_size (tuple[int, int]): Size ``(h, w)`` of the maps that ``weight`` belongs to.
        new_size (tuple[int, int]): Size ``(H, W)`` of the maps to filter.
        mode (str): ``'interpolate'``, ``'kernel'`` or ``'spectrum'``. Defaults to ``'kernel'``.
        interpolation (str): ``'bicubic'`` or ``'bilinear'``, of ``'interpolate'`` only. Defaults
            to ``'bicubic'``.

    Returns:
        Tensor: Filters of shape ``(..., H, W // 2 + 1, 2)`` and dtype of ``weight``; ``weight``
        itself when the sizes are equal.

    Raises:
        ValueError: If ``mode`` is unknown, a size is not positive or ``weight`` does not have the
            shape that belongs to ``old_size``.
    """
    check_resize_mode(mode)
    old_height, old_width = old_size
    if min(*old_size, *new_size) < 1:
        raise ValueError(f'sizes must be positive, got old_size={old_size}, new_size={new_size}')
    if weight.ndim < 3 or weight.shape[-3:] != (old_height, old_width // 2 + 1, 2):
        raise ValueError(
            f'a filter for maps of size {tuple(old_size)} must have a shape that ends in '
            f'({old_height}, {old_width // 2 + 1}, 2), got {tuple(weight.shape)}'
        )
    if tuple(old_size) == tuple(new_size):
        return weight
    with without_autocast(weight.device):
        exact = weight.to(compute_dtype(weight))
        if mode == 'interpolate':
            resized = _interpolate(exact, new_size, interpolation)
        else:
            resized = _RESIZERS[mode](exact, old_size, new_size)
    return resized.to(weight.dtype)


def resize_filter_once(
    weight: Tensor,
    old_size: tuple[int, int],
    new_size: tuple[int, int],
    mode: str,
    interpolation: str = 'bicubic',
) -> Tensor:
    """:func:`resize_filter` without gradients, computed once for each value of the filters.

    Args:
        weight (Tensor): As in :func:`resize_filter`.
        old_size (tuple[int, int]): As there.
        new_size (tuple[int, int]): As there.
        mode (str): As there.
        interpolation (str): As there.

    Returns:
        Tensor: As there; it is shared and must not be written to.
    """
    if torch.compiler.is_dynamo_compiling() and weight.device.type != 'cpu':
        # Comparing values would wait for the device.
        return resize_filter(weight, old_size, new_size, mode, interpolation)
    if is_compiled():
        return _operator(weight, old_size, new_size, mode, interpolation)
    return derived(
        weight,
        ('resized', old_size, new_size, mode, interpolation),
        lambda weight: resize_filter(weight, old_size, new_size, mode, interpolation),
    )


@torch.library.custom_op(
    'mmfreq::resize_filter',
    mutates_args=(),
    schema='(Tensor weight, SymInt[] old_size, SymInt[] new_size, str mode, str interpolation) '
    '-> Tensor',
)
def _operator(
    weight: Tensor, old_size: list[int], new_size: list[int], mode: str, interpolation: str
) -> Tensor:
    (height, width), (new_height, new_width) = old_size, new_size
    sizes = ((height, width), (new_height, new_width))
    # A copy, because compiled graphs write into what they are given.
    resized = resize_filter_once(weight, *sizes, mode, interpolation)
    return resized.clone(memory_format=torch.contiguous_format)


@_operator.register_fake
def _(
    weight: Tensor, old_size: list[int], new_size: list[int], mode: str, interpolation: str
) -> Tensor:
    height, width = new_size
    return weight.new_empty(*weight.shape[:-3], height, width // 2 + 1, 2)


def check_resize_mode(mode: str) -> None:
    """Raise a ``ValueError`` that lists the choices if ``mode`` is not one of them."""
    if mode not in RESIZE_MODES:
        raise ValueError(f'resize mode must be one of {RESIZE_MODES}, got {mode!r}')


def _interpolate(weight: Tensor, new_size: tuple[int, int], interpolation: str) -> Tensor:
    height, width = new_size
    images = weight.movedim(-1, -3).flatten(0, -3).unsqueeze(0)
    images = F.interpolate(
        images, size=(height, width // 2 + 1), mode=interpolation, align_corners=True
    )
    return images.reshape(*weight.shape[:-3], 2, height, width // 2 + 1).movedim(-3, -1)


def _through_kernel(weight: Tensor, old_size: tuple[int, int], new_size: tuple[int, int]) -> Tensor:
    real, imag = weight.unbind(-1)
    kernel = from_parts(real, imag, old_size[1], 'backward')
    kernel = kernel.roll((old_size[0] // 2, old_size[1] // 2), dims=(-2, -1))  # zero in the middle
    padding = []
    for old, new in zip(
        reversed(old_size), reversed(new_size), strict=True
    ):  # F.pad starts at the last axis
        before = new // 2 - old // 2  # negative values crop
        padding += [before, new - old - before]
    kernel = F.pad(kernel, padding).roll((-(new_size[0] // 2), -(new_size[1] // 2)), (-2, -1))
    return torch.stack(to_parts(kernel, 'backward'), dim=-1)


def _in_spectrum(weight: Tensor, old_size: tuple[int, int], new_size: tuple[int, int]) -> Tensor:
    (old_height, old_width), (height, width) = old_size, new_size
    small = min(old_height, height)
    columns = min(old_width, width) // 2 + 1
    weight = weight[..., :columns, :]
    top = weight[..., : (small + 1) // 2, :, :]  # frequencies 0 ... below Nyquist
    bottom = weight[..., old_height - (small - 1) // 2 :, :, :]  # the same ones, negative
    middle = weight.new_zeros(
        *weight.shape[:-3], height - top.shape[-3] - bottom.shape[-3], columns, 2
    )
    if small % 2 == 0:
        nyquist = small // 2
        gain = (weight[..., nyquist, :, :] + weight[..., old_height - nyquist, :, :]) / 2
        middle[..., 0, :, :] = gain
        middle[..., -1, :, :] = gain
    resized = torch.cat([top, middle, bottom], dim=-3)
    return F.pad(resized, (0, 0, 0, width // 2 + 1 - columns))


_RESIZERS = {'kernel': _through_kernel, 'spectrum': _in_spectrum}
RESIZE_MODES = ('interpolate', *_RESIZERS)
