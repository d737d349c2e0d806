"""Filtering in the frequency domain, the operation behind global-filter token mixers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mmfreq.ops.choice import choose_backend, choose_kernel
from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.kernels import fft, gemm, mixed
from mmfreq.ops.kernels.triton import load as triton
from mmfreq.ops.layout import empty_like
from mmfreq.ops.tracing import is_compiled_for_cpu, without_autocast

__all__ = ['KERNELS', 'dynamic_filter2d', 'spectral_filter2d']

# Features (B, C, H, W); filters (C, H, W // 2 + 1, 2) or (B, C, H, W // 2 + 1, 2) and None, or a
# basis (N, H, W // 2 + 1, 2) and its coefficients (B, N, C). Filters and coefficients have the
# dtype to compute in, autocast is off; the result is like the features.
KERNELS: dict[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    'fft': fft.filter_maps,
    'gemm': gemm.filter_maps,
    'mixed': mixed.filter_maps,
    'triton': triton.filter_maps,
}


def spectral_filter2d(x: Tensor, weight: Tensor, backend: str = 'auto') -> Tensor:
    """Multiply the spectrum of feature maps with a filter: a circular convolution of any extent.

    ``y = irfft2(rfft2(x) * weight)``, GFNet, arXiv 2107.00645, equation 3. The result equals the
    circular convolution of ``x`` with the filter's impulse response
    ``irfft2(weight, norm='backward')``. It is computed in float32 (float64 when an operand is) with
    autocast off. Training keeps ``x`` and ``weight`` and no spectrum.

    Args:
        x (Tensor): Feature maps, real, shape ``(B, C, H, W)``, in any memory format.
        weight (Tensor): Filter as real and imaginary parts, real dtype, shape
            ``(C, H, W // 2 + 1, 2)`` for all samples or ``(B, C, H, W // 2 + 1, 2)`` per sample.
        backend (str): See :mod:`mmfreq.ops.choice`. Defaults to ``'auto'``.

    Returns:
        Tensor: Filtered maps with the shape, dtype and memory format (contiguous or channels-last)
        of ``x``.

    Raises:
        TypeError: If ``weight`` is complex.
        ValueError: If the shapes do not fit together, where the message gives the shape that would,
            or ``backend`` is unknown.
    """
    _check_shapes(x, weight)
    return _filter(x, weight, None, backend)


def dynamic_filter2d(
    x: Tensor, basis: Tensor, coefficients: Tensor, backend: str = 'auto'
) -> Tensor:
    """Filter every channel of every sample with a filter of its own, combined from a common basis.

    The filter of sample ``b`` and channel ``c`` is ``sum_n coefficients[b, n, c] * basis[n]``,
    DFFormer, arXiv 2303.03932, equation 6. All these filters together are as large as the spectrum
    of ``x``: those of large maps never exist as a whole where ``'fft'`` computes on a CPU. Computed
    in float32 (float64 when an operand is) with autocast off. Training keeps the operands and no
    spectrum.

    Args:
        x (Tensor): Feature maps, real, shape ``(B, C, H, W)``, in any memory format.
        basis (Tensor): Filters as real and imaginary parts, real dtype, shape
            ``(N, H, W // 2 + 1, 2)``.
        coefficients (Tensor): Real coefficients, shape ``(B, N, C)``.
        backend (str): See :mod:`mmfreq.ops.choice`. Defaults to ``'auto'``.

    Returns:
        Tensor: Filtered maps with the shape, dtype and memory format of ``x``.

    Raises:
        ValueError: If the shapes do not fit together, where the message gives the shape that would,
            or ``backend`` is unknown.
    """
    batch, channels, height, width = _feature_shape(x)
    expected = (height, width // 2 + 1, 2)
    if basis.is_complex() or basis.ndim != 4 or basis.shape[1:] != expected:
        raise ValueError(
            f'basis filters for maps of shape {tuple(x.shape)} must be real with the shape '
            f'(N, {", ".join(map(str, expected))}), got {basis.dtype} {tuple(basis.shape)}'
        )
    if coefficients.shape != (batch, len(basis), channels):
        raise ValueError(
            f'coefficients must have the shape (B, N, C) = {(batch, len(basis), channels)}, '
            f'got {tuple(coefficients.shape)}'
        )
    return _filter(x, basis, coefficients, backend)


def _filter(x: Tensor, weight: Tensor, coefficients: Tensor | None, backend: str) -> Tensor:
    channels, height, width = x.shape[1:]
    operands = (x, weight) if coefficients is None else (x, weight, coefficients)
    dtype = compute_dtype(*operands)
    weight = weight.to(dtype)
    coefficients = None if coefficients is None else coefficients.to(dtype)
    if is_compiled_for_cpu(x):
        backend = choose_backend(backend, x, (height, width), channels)
        return _filter_operator(x, weight, coefficients, backend)
    kernel = choose_kernel(KERNELS, backend, x, (height, width), channels)
    with without_autocast(x.device):  # a context costs small maps two percent
        return kernel(x, weight, coefficients)


def _feature_shape(x: Tensor) -> torch.Size:
    if x.ndim != 4:
        raise ValueError(f'x must have the shape (B, C, H, W), got {tuple(x.shape)}')
    return x.shape


def _check_shapes(x: Tensor, weight: Tensor) -> None:
    batch, channels, height, width = _feature_shape(x)
    if weight.is_complex():
        raise TypeError(
            'weight must be real with a last axis of real and imaginary part; '
            'apply torch.view_as_real to a complex filter'
        )
    expected = (channels, height, width // 2 + 1, 2)
    if weight.shape not in (expected, (batch, *expected)):
        raise ValueError(
            f'a filter for maps of shape {tuple(x.shape)} must have the shape {expected} or '
            f'{(batch, *expected)}, got {tuple(weight.shape)}; '
            'use mmfreq.ops.resize_filter for a filter of another size'
        )


# Compiled for a CPU, the filters are operators that the compiler does not look into: what it makes
# of the products takes three times as long. Exported graphs do not have them.


@torch.library.custom_op('mmfreq::filter_maps', mutates_args=())
def _filter_operator(
    x: Tensor, weight: Tensor, coefficients: Tensor | None, backend: str
) -> Tensor:
    kernel = KERNELS.get(backend, fft.filter_maps)
    with without_autocast(x.device):
        return kernel(x, weight, coefficients)


@torch.library.custom_op(
    'mmfreq::filter_gradients',
    mutates_args=(),
    schema='(Tensor grad, Tensor x, Tensor weight, Tensor? coefficients, bool of_filters) '
    '-> Tensor[]',
)
def _gradient_operator(
    grad: Tensor, x: Tensor, weight: Tensor, coefficients: Tensor | None, of_filters: bool
) -> list[Tensor]:
    grads = fft.filter_gradients(grad, x, weight, coefficients, of_filters)
    return [grad for grad in grads if grad is not None]


@_filter_operator.register_fake
def _(x: Tensor, weight: Tensor, coefficients: Tensor | None, backend: str) -> Tensor:
    return empty_like(x)


@_gradient_operator.register_fake
def _(
    grad: Tensor, x: Tensor, weight: Tensor, coefficients: Tensor | None, of_filters: bool
) -> list[Tensor]:
    grads = [empty_like(grad, x.dtype)]
    if of_filters:
        grads.append(torch.empty_like(weight))
        grads += [] if coefficients is None else [torch.empty_like(coefficients)]
    return grads


def _keep_operands(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    grads = _gradient_operator(grad, *ctx.saved_tensors, any(ctx.needs_input_grad[1:3]))
    return *grads, *[None] * (4 - len(grads))


_filter_operator.register_autograd(_gradients, setup_context=_keep_operands)
