"""Which implementation computes a spectral operation.

========  =====================================================================================
backend   implementation
========  =====================================================================================
fft       ``torch.fft`` of each plane
gemm      products with cached matrices, in real arithmetic only: compiles, exports, any device
mixed     products along W and ``torch.fft`` along H, for filters of channels-last features
triton    one CUDA kernel for maps of up to 64 x 64 pixels; needs the extra ``triton``
auto      the fastest of them for maps like these, from a table of measurements
========  =====================================================================================

``auto`` is replaced by the environment variable ``MMFREQ_BACKEND`` where that is set; a backend
that is asked for by an argument or a config is always used. Compiled and exported graphs get
``gemm``, because compilers have no complex numbers, but for filters, cosine transforms and FDConv's
kernels that are compiled for a CPU, which are operators with eager mode's choice inside; graphs
traced by TorchScript, those of the FLOPs report among them, get ``fft``, so that they are the same
on every machine.

An operation is a table of kernels, one for each backend that has it. For an operation, a graph or
maps that a backend has no kernel for, another one stands in: ``gemm`` for the cosine transform,
``fft`` for all others. A new backend is a module in
:mod:`mmfreq.ops.kernels`, a row in the table of an operation, and its name in :data:`BACKENDS`.
"""

import csv
import math
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from mmfreq.ops.tracing import as_int, is_traced, log

__all__ = [
    'BACKENDS',
    'ENVIRONMENT',
    'IN_GRAPHS',
    'STAND_INS',
    'TABLE',
    'check_backend',
    'choose_backend',
    'choose_kernel',
]

BACKENDS = ('auto', 'fft', 'gemm', 'mixed', 'triton')
IN_GRAPHS = ('fft', 'gemm')  # what compilers, exporters and TorchScript can follow
# What covers everything, of each operation: with the fewest operations, for cosines the fewest
# passes. It is also the choice where nothing is measured.
STAND_INS = {'filter': 'fft', 'bands': 'fft', 'kernels': 'fft', 'dct': 'gemm'}
ENVIRONMENT = 'MMFREQ_BACKEND'
TABLE = Path(__file__).parents[1] / 'measured' / 'backends.csv'

Kernel = TypeVar('Kernel')


def check_backend(backend: str) -> None:
    """Raise a ``ValueError`` that lists the choices if ``backend`` is not one of them."""
    if backend not in BACKENDS:
        raise ValueError(f'backend must be one of {BACKENDS}, got {backend!r}')


def choose_kernel(
    kernels: Mapping[str, Kernel],
    requested: str,
    x: Tensor,
    size: tuple[int, int],
    channels: int,
    operation: str = 'filter',
) -> Kernel:
    """Find what computes an operation on feature maps.

    Args:
        kernels (Mapping[str, Kernel]): The table of the operation: a kernel by backend.
        requested (str): As in :func:`choose_backend`, like all arguments that follow.
        x (Tensor): The feature maps.
        size (tuple[int, int]): Their size ``(H, W)``.
        channels (int): Their number of channels.
        operation (str): One of :data:`STAND_INS`. Defaults to ``'filter'``.

    Returns:
        Kernel: That of the chosen backend, or of the one in :data:`STAND_INS`.
    """
    if requested == 'auto' and torch.compiler.is_compiling():
        backend = 'gemm'
    else:
        backend = choose_backend(requested, x, size, channels, operation)
    if backend not in kernels or (backend not in IN_GRAPHS and is_traced()):
        backend = STAND_INS[operation]
    return kernels[backend]


def choose_backend(
    requested: str,
    x: Tensor,
    size: tuple[int, int],
    channels: int,
    operation: str = 'filter',
) -> str:
    """Decide how an operation on feature maps is computed.

    Args:
        requested (str): One of :data:`BACKENDS`.
        x (Tensor): The feature maps.
        size (tuple[int, int]): Their size ``(H, W)``.
        channels (int): Their number of channels.
        operation (str): ``'filter'`` for the Fourier transform and its filters, ``'bands'`` for
            frequency bands, ``'kernels'`` for kernels with a spectrum, ``'dct'`` for the cosine
            transform. Defaults to ``'filter'``.

    Returns:
        str: One of :data:`BACKENDS` other than ``'auto'``.

    Raises:
        ValueError: If the argument or the environment variable names no backend.
    """
    check_backend(requested)
    if requested != 'auto':
        return requested
    wanted = os.environ.get(ENVIRONMENT, 'auto')
    if wanted not in BACKENDS:
        raise ValueError(f'{ENVIRONMENT} must be one of {BACKENDS}, got {wanted!r}')
    if wanted != 'auto':
        return wanted
    if torch.jit.is_tracing():
        return STAND_INS[operation]
    mode = 'training' if torch.is_grad_enabled() and x.requires_grad else 'inference'
    channels_last = x.ndim == 4 and x.stride(1) == 1
    conditions = (operation, x.device.type, mode, 'channels-last' if channels_last else 'planes')
    return _constant_best(conditions, (as_int(size[0]), as_int(size[1]), as_int(channels)))


class _Row(NamedTuple):
    """A line of the table: the fastest backend for maps of one shape."""

    operation: str
    device: str
    mode: str
    layout: str
    height: int
    width: int
    channels: int
    backend: str

    def distance(self, shape: tuple[int, int, int]) -> float:
        """How different maps of another shape ``(H, W, C)`` are, mostly by the length of sides."""
        sides = math.log2(shape[0] * shape[1] / (self.height * self.width)) / 2
        channels = math.log2(shape[2] / self.channels)
        other_kind = _is_awkward(*shape[:2]) != _is_awkward(self.height, self.width)
        return abs(sides) + abs(channels) / 4 + 8 * other_kind


def _is_awkward(*sides: int) -> bool:
    """Whether an FFT along one of the sides is slow: it has a prime factor above 13."""
    for side in sides:
        for prime in (2, 3, 5, 7, 11, 13):
            while side % prime == 0:
                side //= prime
        if side > 1:
            return True
    return False


@lru_cache(maxsize=1)
def _table() -> tuple[_Row, ...]:
    with TABLE.open(newline='') as file:
        return tuple(
            _Row(
                row['operation'],
                row['device'],
                row['mode'],
                row['layout'],
                int(row['height']),
                int(row['width']),
                int(row['channels']),
                row['backend'],
            )
            for row in csv.DictReader(file)
        )


@torch.compiler.assume_constant_result
def _constant_best(conditions: tuple[str, str, str, str], shape: tuple[int, int, int]) -> str:
    return _measured_best(conditions, shape)


@lru_cache(maxsize=4096)
def _measured_best(conditions: tuple[str, str, str, str], shape: tuple[int, int, int]) -> str:
    """Backend of the most similar maps in the table; cached, so each choice is logged once."""
    operation, device, mode, layout = conditions
    rows = [row for row in _table() if row[:4] == conditions]
    if rows:
        nearest = min(rows, key=lambda row: row.distance(shape))
        backend = nearest.backend
        reason = f'measured at {nearest.height}x{nearest.width}x{nearest.channels}'
    else:
        backend, reason = STAND_INS[operation], f'nothing was measured on {device}'
    height, width, channels = shape
    log(
        f'{operation} on {channels} maps of {height}x{width}, {layout}, on {device}, {mode}: '
        f'{backend} ({reason})'
    )
    return backend
