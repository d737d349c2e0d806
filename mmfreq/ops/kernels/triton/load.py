"""Triton is imported when one of its kernels is first used."""

from typing import Any

import torch
from torch import Tensor

__all__ = ['triton_kernels']


def triton_kernels(operation: str, x: Tensor, dtype: torch.dtype, instead: str) -> Any:
    """The module with Triton's kernels for an operation, imported when it is first used.

    Args:
        operation (str): As in :func:`mmfreq.ops.choice.choose_backend`.
        x (Tensor): Feature maps of shape ``(B, C, H, W)``.
        dtype (torch.dtype): In which they are to be transformed.
        instead (str): Backend that is used if the kernels do not cover this.

    Returns:
        Any: The module, or None; then one line in the log says why.

    Raises:
        ImportError: If Triton is missing; the message names the extra to install.
    """
    try:
        from mmfreq.ops.kernels.triton import dct, filter, tiles
    except ImportError as error:
        raise ImportError(
            f"backend='triton' needs Triton ({error}); "
            "install the extra: pip install 'mmfreq[triton]'"
        ) from error
    kernels = {'dct': dct, 'filter': filter}[operation]
    return kernels if tiles.covers(x, dtype, instead) else None
