"""Products of maps with small matrices, by the faster of a CPU's two libraries.

In float32, oneDNN's 1x1 convolutions take a third to a half of the time of MKL's matrix products.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfreq.ops.tracing import is_traced

__all__ = ['product_along_columns', 'product_along_rows']


def product_along_rows(x: Tensor, matrix: Tensor) -> Tensor:
    """``x @ matrix.T``.

    Args:
        x (Tensor): Maps of shape ``(N, H, W)``.
        matrix (Tensor): Shape ``(V, W)``.

    Returns:
        Tensor: Shape ``(N, H, V)``.
    """
    if not _as_convolution(x):
        return x @ matrix.T
    pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)
    y = F.conv2d(pixels, matrix[..., None, None])
    return y.permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


def product_along_columns(x: Tensor, matrix: Tensor) -> Tensor:
    """``matrix @ x``.

    Args:
        x (Tensor): Maps of shape ``(N, H, W)``.
        matrix (Tensor): Shape ``(U, H)``.

    Returns:
        Tensor: Shape ``(N, U, W)``.
    """
    if not _as_convolution(x):
        return matrix @ x
    return F.conv2d(x.unsqueeze(2), matrix[..., None, None]).squeeze(2)


def _as_convolution(x: Tensor) -> bool:
    return x.device.type == 'cpu' and x.dtype == torch.float32 and not is_traced()
