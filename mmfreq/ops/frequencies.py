"""Resizing of what is stored for each coefficient of a cosine transform."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.matrices import constant
from mmfreq.ops.resize import check_resize_mode
from mmfreq.ops.tracing import as_int, without_autocast

__all__ = ['resize_coefficients']


def resize_coefficients(weight: Tensor, new_size: tuple[int, int], mode: str) -> Tensor:
    """Resize values of the coefficients of :func:`mmfreq.ops.dct2` to maps of another size.

    The modes mean what they do for filters, see :func:`mmfreq.ops.resize_filter`.

    * ``'interpolate'``, **faithful**: as an image, bicubic with unaligned corners, as vHeat does in
      every forward pass. Coefficient ``n`` of ``N`` is taken for the frequency ``(n + 1/2) / 2N``.
    * ``'kernel'``, **correct**: the value at the same frequency, ``n / 2N`` cycles per pixel,
      linear between stored ones, and the last one above them. What diffuses keeps its size.
    * ``'spectrum'``: coefficients keep their number, which are other frequencies on a larger map;
      new ones get zero, surplus ones are dropped. As vHeat enlarges its ImageNet checkpoints.

    Args:
        weight (Tensor): Values of shape ``(h, w, C)``.
        new_size (tuple[int, int]): Size ``(H, W)`` of the maps.
        mode (str): ``'interpolate'``, ``'kernel'`` or ``'spectrum'``.

    Returns:
        Tensor: Values of shape ``(H, W, C)`` and dtype of ``weight``; ``weight`` itself when the
        sizes are equal.

    Raises:
        ValueError: If ``mode`` is unknown.
    """
    check_resize_mode(mode)
    height, width = as_int(weight.shape[0]), as_int(weight.shape[1])
    new_height, new_width = new_size
    if (height, width) == tuple(new_size):
        return weight
    if mode == 'spectrum':
        return F.pad(weight, (0, 0, 0, new_width - width, 0, new_height - height))
    with without_autocast(weight.device):
        exact = weight.to(compute_dtype(weight))
        if mode == 'interpolate':
            images = exact.permute(2, 0, 1).unsqueeze(0)
            resized = F.interpolate(images, new_size, mode='bicubic').squeeze(0).permute(1, 2, 0)
        else:
            rows = _at_frequencies(exact.dtype, exact.device, (height, new_height))
            columns = _at_frequencies(exact.dtype, exact.device, (width, new_width))
            resized = columns @ (rows @ exact.flatten(1)).reshape(new_height, width, -1)
    return resized.to(weight.dtype)


@constant
def _at_frequencies(sizes: tuple[int, int]) -> np.ndarray:
    """Values at new frequencies from those at old ones, ``(new, old)``: sizes are old and new."""
    old, new = sizes
    positions = np.arange(new) * (old / new)
    return np.stack([np.interp(positions, np.arange(old), row) for row in np.eye(old)], 1)
