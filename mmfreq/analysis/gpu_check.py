"""Spectral operations on a device against float64 on the CPU."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmfreq.ops import dct2, dynamic_filter2d, idct2, irfft2, rfft2, spectral_filter2d
from mmfreq.ops.bands import low_pass
from mmfreq.ops.choice import BACKENDS

__all__ = ['SIZES', 'Check', 'checks']

SIZES = ((1, 1), (7, 7), (14, 14), (33, 18), (61, 37), (64, 64), (128, 128), (199, 333))
TOLERANCE = 1e-5  # relative, by norms
HALF_TOLERANCE = 2e-2  # of bfloat16 and float16


class Check(NamedTuple):
    """What is computed on the device, and what float64 says.

    Attributes:
        name (str): Operation, backend, dtype and layout.
        backend (str): The backend.
        run (Callable): Takes a size and gives the worst relative distance of output and gradients.
        tolerance (float): The largest that passes.
    """

    name: str
    backend: str
    run: Callable[[tuple[int, int]], float]
    tolerance: float


def checks(device: str) -> Iterator[Check]:
    """All checks of a device.

    Filters are drawn at random and so are not Hermitian.

    Args:
        device (str): For example ``'cuda'``.

    Yields:
        Check: Each with a function to call.
    """
    backends = [name for name in BACKENDS if name != 'auto']
    for backend in backends:
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            for layout in ('planes', 'channels-last'):
                for operation in (_filter, _dynamic, _cosines, _bands):
                    yield _check(device, operation, backend, dtype, layout)
    yield _check(device, _transforms, 'fft', torch.float32, 'planes')


Operation = Callable[[str, tuple[int, int]], tuple[Callable[..., Tensor], list[Tensor]]]


def _check(
    device: str, operation: Operation, backend: str, dtype: torch.dtype, layout: str
) -> Check:
    kind = operation.__name__.removeprefix('_')

    def run(size: tuple[int, int]) -> float:
        torch.manual_seed(0)
        function, operands = operation(backend, size)
        exact_function, _ = operation('fft', size)
        features = operands[0]
        if layout == 'channels-last':
            features = features.contiguous(memory_format=torch.channels_last)
        given = [features.to(dtype), *operands[1:]]
        found = _with_gradients(function, [x.to(device) for x in given])
        expected = _with_gradients(exact_function, [x.double() for x in given])
        errors = [
            float((a.cpu().double() - b).norm() / b.norm().clamp_min(1e-30))
            for a, b in zip(found, expected, strict=True)
        ]
        return float(np.max(errors))  # NaN if any is

    text = str(dtype).removeprefix('torch.')
    tolerance = TOLERANCE if dtype == torch.float32 else HALF_TOLERANCE
    return Check(f'{kind} by {backend}, {text}, {layout}', backend, run, tolerance)


def _with_gradients(function: Callable[..., Tensor], operands: list[Tensor]) -> list[Tensor]:
    leaves = [x.detach().requires_grad_() for x in operands]
    y = function(*leaves)
    probe = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).cos().reshape(y.shape)
    loss = (y.double() * probe.to(y.device)).sum()
    return [y.detach(), *torch.autograd.grad(loss, leaves)]


def _filter(backend: str, size: tuple[int, int]) -> tuple[Callable[..., Tensor], list[Tensor]]:
    height, width = size
    operands = [torch.randn(2, 3, *size), torch.randn(3, height, width // 2 + 1, 2)]
    return lambda x, weight: spectral_filter2d(x, weight, backend), operands


def _dynamic(backend: str, size: tuple[int, int]) -> tuple[Callable[..., Tensor], list[Tensor]]:
    height, width = size
    basis = torch.randn(4, height, width // 2 + 1, 2)
    operands = [torch.randn(2, 3, *size), basis, torch.randn(2, 4, 3)]
    return lambda x, basis, shares: dynamic_filter2d(x, basis, shares, backend), operands


def _cosines(backend: str, size: tuple[int, int]) -> tuple[Callable[..., Tensor], list[Tensor]]:
    scale = torch.linspace(0.5, 2, size[0] * size[1]).reshape(1, *size, 1)

    def run(x: Tensor) -> Tensor:
        z = dct2(x.permute(0, 2, 3, 1), backend)
        return idct2(z * scale.to(z), backend=backend)

    return run, [torch.randn(2, 3, *size)]


def _bands(backend: str, size: tuple[int, int]) -> tuple[Callable[..., Tensor], list[Tensor]]:
    return lambda x: torch.stack(low_pass(x, (2, 4, 8), backend=backend)), [
        torch.randn(2, 3, *size)
    ]


def _transforms(backend: str, size: tuple[int, int]) -> tuple[Callable[..., Tensor], list[Tensor]]:
    height, width = size

    def run(x: Tensor, weight: Tensor) -> Tensor:
        return irfft2(rfft2(x) * torch.view_as_complex(weight.contiguous()), size)

    return run, [torch.randn(2, 3, *size), torch.randn(3, height, width // 2 + 1, 2)]
