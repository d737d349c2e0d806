"""Images without a band of frequencies."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmfreq.ops.fft import irfft2, rfft2

__all__ = ['HIGHEST', 'distances', 'remove_band']

HIGHEST = 0.5**0.5  # cycles per pixel, of the diagonal


def distances(size: tuple[int, int]) -> Tensor:
    """Distances of the coefficients of a half spectrum from frequency zero.

    Args:
        size (tuple[int, int]): Size ``(H, W)`` of the image.

    Returns:
        Tensor: In cycles per pixel, shape ``(H, W // 2 + 1)``.
    """
    height, width = size
    rows = torch.arange(height)
    rows = torch.minimum(rows, height - rows) / height
    columns = torch.arange(width // 2 + 1) / width
    return torch.hypot(rows[:, None], columns)


def remove_band(image: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """Remove all frequencies from ``low`` to ``high`` from an image, whichever their direction.

    Frequency zero, the mean of a channel, stays. The image is taken as periodic, as the networks'
    filters take it; numbers beyond the range of its dtype are clipped.

    Args:
        image (NDArray): Image of shape ``(H, W, C)``.
        low (float): In cycles per pixel.
        high (float): In cycles per pixel; 0.707 is the highest there is.

    Returns:
        NDArray: Image of the same shape and dtype.
    """
    size = (image.shape[0], image.shape[1])
    distance = distances(size)
    keep = (distance < low) | (distance > high)
    keep[0, 0] = True
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))
    filtered = irfft2(rfft2(planes) * keep, size).permute(1, 2, 0).numpy()
    if np.issubdtype(image.dtype, np.integer):
        limits = np.iinfo(image.dtype)
        filtered = filtered.round().clip(limits.min, limits.max)
    return filtered.astype(image.dtype)
