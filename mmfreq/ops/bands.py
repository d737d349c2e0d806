"""Frequency bands of feature maps, for FDConv."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmfreq.ops.choice import choose_kernel
from mmfreq.ops.fft import LowFrequencies, compute_dtype
from mmfreq.ops.kernels import fft, gemm
from mmfreq.ops.tracing import as_int, without_autocast

__all__ = ['BAND_MASKS', 'LOW_PASS', 'low_frequencies', 'low_pass']

BAND_MASKS = ('exact', 'nearest')
FAITHFUL_SIDE = 64  # the original computes its masks for maps of this side

# Float32 or float64 images (..., H, W) and the frequencies that each of the results has.
LOW_PASS: dict[str, Callable[[Tensor, LowFrequencies], list[Tensor]]] = {
    'fft': fft.low_pass,
    'gemm': gemm.low_pass,
}


def low_pass(
    x: Tensor, factors: Sequence[int], masks: str = 'exact', backend: str = 'auto'
) -> list[Tensor]:
    """Feature maps without their high frequencies.

    Which are high is decided

    * ``'exact'``, **correct**: by the true frequencies of the map.
    * ``'nearest'``, **faithful** to the original: by masks computed for 64x64 maps, with its
      rounding, and resized to other spectra with nearest-neighbour interpolation in FFT order. At
      100x168, 98 of 8500 coefficients are on the wrong side of the edge at 1/8.

    Args:
        x (Tensor): Features of shape ``(..., H, W)``; float16 and bfloat16 are filtered in float32
            with autocast off.
        factors (Sequence[int]): Each leaves frequencies of up to ``1 / (2 * factor)`` cycles per
            pixel, along both axes. 1 leaves everything.
        masks (str): ``'exact'`` or ``'nearest'``. Defaults to ``'exact'``.
        backend (str): See :mod:`mmfreq.ops.choice`. Defaults to ``'auto'``.

    Returns:
        list[Tensor]: Features for each factor, shape and dtype of ``x``.
    """
    size = as_int(x.shape[-2]), as_int(x.shape[-1])
    channels = x.shape[-3] if x.ndim > 2 else 1
    run = choose_kernel(LOW_PASS, backend, x, size, channels, 'bands')
    kept = low_frequencies(size, tuple(factors), masks)
    with without_autocast(x.device):
        return [low.to(x.dtype) for low in run(x.to(compute_dtype(x)), kept)]


@torch.compiler.assume_constant_result
def low_frequencies(size: tuple[int, int], factors: tuple[int, ...], masks: str) -> LowFrequencies:
    """Frequencies that :func:`low_pass` leaves.

    Args:
        size (tuple[int, int]): Size ``(H, W)`` of the maps.
        factors (tuple[int, ...]): See :func:`low_pass`.
        masks (str): See :func:`low_pass`.

    Returns:
        LowFrequencies: Those of larger factors are among those of smaller ones.
    """
    return _low_frequencies(size, factors, masks)


@lru_cache(maxsize=256)
def _low_frequencies(size: tuple[int, int], factors: tuple[int, ...], masks: str) -> LowFrequencies:
    assert masks in BAND_MASKS, masks
    choose = _kept_exactly if masks == 'exact' else _kept_by_original
    kept = [choose(size, factor) for factor in factors]
    rows: list[int] = []
    for of_factor, _ in sorted(kept, key=lambda rows_and_columns: len(rows_and_columns[0])):
        rows += [row for row in of_factor if row not in rows]
    return LowFrequencies(tuple(rows), tuple((len(rows), columns) for rows, columns in kept))


def _kept_exactly(size: tuple[int, int], factor: int) -> tuple[list[int], int]:
    """Rows of the half spectrum, and the number of its columns."""
    height, width = size
    rows = [row for row in range(height) if 2 * factor * min(row, height - row) <= height]
    return rows, width // (2 * factor) + 1


def _kept_by_original(size: tuple[int, int], factor: int) -> tuple[list[int], int]:
    # In float32 and without tensors, whatever the default dtype is and whoever traces this.
    lines = np.arange(FAITHFUL_SIDE)
    frequencies = np.minimum(lines, FAITHFUL_SIDE - lines).astype(np.float32) / FAITHFUL_SIDE
    is_low = frequencies < np.float32(0.5 / factor + 1e-8)

    def resized(length: int, stored: int) -> NDArray[np.bool_]:
        """Nearest neighbours as in ``F.interpolate``."""
        steps = np.arange(length, dtype=np.float32) * np.float32(stored / length)
        return is_low[np.minimum(steps.astype(np.int64), stored - 1)]

    rows = resized(size[0], FAITHFUL_SIDE)
    columns = resized(size[1] // 2 + 1, FAITHFUL_SIDE // 2 + 1)
    return rows.nonzero()[0].tolist(), int(columns.sum())
