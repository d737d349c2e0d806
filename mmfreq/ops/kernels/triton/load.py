"""The operations by Triton, which is imported when one of them is first used.

What its kernels do not cover is computed by another backend, and one line in the log says why.
"""

import torch
from torch import Tensor

from mmfreq.ops.kernels import fft, gemm

__all__ = ['filter_maps', 'transform_cosines']


def filter_maps(x: Tensor, weight: Tensor, coefficients: Tensor | None) -> Tensor:
    """See :data:`mmfreq.ops.filter.KERNELS`.

    Raises:
        ImportError: If Triton is missing; the message names the extra to install.
    """
    try:
        from mmfreq.ops.kernels.triton import filter, tiles
    except ImportError as error:
        raise _missing(error) from error
    if not tiles.covers(x, weight.dtype, instead='fft'):
        return fft.filter_maps(x, weight, coefficients)
    filters = weight if coefficients is None else fft.combine(coefficients, weight)
    return filter.filter_in_one_kernel(x, filters)


def transform_cosines(x: Tensor, dtype: torch.dtype, inverse: bool) -> Tensor:
    """See :data:`mmfreq.ops.dct.KERNELS`.

    Raises:
        ImportError: If Triton is missing; the message names the extra to install.
    """
    try:
        from mmfreq.ops.kernels.triton import dct, tiles
    except ImportError as error:
        raise _missing(error) from error
    maps = x.permute(0, 3, 1, 2)
    if not tiles.covers(maps, dtype, instead='gemm'):
        return gemm.transform_cosines(x, dtype, inverse)
    return dct.transform_in_one_kernel(maps, inverse).permute(0, 2, 3, 1)


def _missing(error: ImportError) -> ImportError:
    return ImportError(
        f"backend='triton' needs Triton ({error}); install the extra: pip install 'mmfreq[triton]'"
    )
