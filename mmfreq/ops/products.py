"""Products of maps with matrices, by the faster of a CPU's two libraries.

In float32, oneDNN's 1x1 convolutions take a third to a half of the time of the matrix products that
PyTorch calls on an AMD CPU, where those are MKL's. On Intel's CPUs, for which MKL is made, both are
equal forwards, and the gradients of products take a fifth less time. Compiled for a CPU, all of
them are operators that the compiler does not look into, or it would make MKL's products of them.
Exported graphs have matrix products.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfreq.ops.tracing import is_compiled, is_exported, is_traced

__all__ = ['linear', 'product_along_columns', 'product_along_rows', 'product_of_parts']

_CPUS = Path('/proc/cpuinfo')
_IS_INTEL = _CPUS.is_file() and 'GenuineIntel' in _CPUS.read_text()  # False where it is not said


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``.

    Args:
        x (Tensor): Features of shape ``(B, H, W, C)``.
        weight (Tensor): Shape ``(C', C)``.
        bias (Tensor, optional): Shape ``(C',)``. Defaults to None.

    Returns:
        Tensor: Features of shape ``(B, H, W, C')``.
    """
    learns = torch.is_grad_enabled() and _IS_INTEL and not is_compiled()
    if learns or not _as_convolution(x) or torch.is_autocast_enabled('cpu'):
        return F.linear(x, weight, bias)
    return _convolve(x.permute(0, 3, 1, 2), weight, bias).permute(0, 2, 3, 1)


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
    return _convolve(pixels, matrix).permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


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
    return _convolve(x.unsqueeze(2), matrix).squeeze(2)


def product_of_parts(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Product of complex numbers, in real arithmetic.

    Args:
        a (tuple[Tensor, Tensor]): Real and imaginary part.
        b (tuple[Tensor, Tensor]): Real and imaginary part, of a shape that fits.

    Returns:
        tuple[Tensor, Tensor]: Real and imaginary part of ``a * b``.
    """
    if is_traced():  # exporters write a product with the sign into the graph
        return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]
    real = torch.addcmul(a[0] * b[0], a[1], b[1], value=-1)
    return real, torch.addcmul(a[0] * b[1], a[1], b[0])


def _as_convolution(x: Tensor) -> bool:
    is_float = x.device.type == 'cpu' and x.dtype == torch.float32
    return is_float and not is_exported() and not _has_one_thread()


@torch.compiler.assume_constant_result
def _has_one_thread() -> bool:
    return torch.get_num_threads() == 1  # PyTorch does not call oneDNN for convolutions then


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """1x1 convolution of maps ``(N, C, H, W)`` with a matrix ``(C', C)``."""
    if is_compiled():
        return _operator(x, weight, bias)
    return F.conv2d(x, weight[..., None, None], bias)


@torch.library.custom_op('mmfreq::convolve_1x1', mutates_args=())
def _operator(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return _in_layout_of(x, F.conv2d(x, weight[..., None, None], bias))


@_operator.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return _empty_like(x, (x.shape[0], weight.shape[0], *x.shape[2:]))


@torch.library.custom_op(
    'mmfreq::convolve_1x1_gradients',
    mutates_args=(),
    schema='(Tensor grad, Tensor x, Tensor weight, bool[] wanted) -> Tensor[]',
)
def _gradient_operator(grad: Tensor, x: Tensor, weight: Tensor, wanted: list[bool]) -> list[Tensor]:
    if x.stride(1) == 1 and _IS_INTEL:
        return _gradients_of_products(grad, x, weight, wanted)
    # Strides, padding, dilation, whether it is transposed, its output padding, groups.
    usual = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    grads = torch.ops.aten.convolution_backward(
        grad, x, weight[..., None, None], [len(weight)], *usual, wanted
    )
    shaped = (_in_layout_of(x, grads[0]) if wanted[0] else None, grads[1], grads[2])
    found = [grad for grad in shaped if grad is not None]
    return [grad.flatten(1).contiguous() if grad is grads[1] else grad for grad in found]


def _gradients_of_products(
    grad: Tensor, x: Tensor, weight: Tensor, wanted: list[bool]
) -> list[Tensor]:
    rows = grad.permute(0, 2, 3, 1).flatten(0, 2)
    grads = []
    if wanted[0]:
        y = (rows @ weight).reshape(x.shape[0], *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
        grads.append(_in_layout_of(x, y))
    if wanted[1]:
        grads.append(rows.T @ x.permute(0, 2, 3, 1).flatten(0, 2))
    if wanted[2]:
        grads.append(rows.sum(0))
    return grads


@_gradient_operator.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, wanted: list[bool]) -> list[Tensor]:
    grads = (
        _empty_like(x, tuple(x.shape)),
        weight.new_empty(weight.shape),
        weight.new_empty(len(weight)),
    )
    return [grad for grad, is_wanted in zip(grads, wanted, strict=True) if is_wanted]


def _empty_like(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """An empty tensor, channels-last if ``x`` is, so that compilers know the strides."""
    layout = torch.channels_last if x.stride(1) == 1 else torch.contiguous_format
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)


def _in_layout_of(x: Tensor, y: Tensor) -> Tensor:
    expected = _empty_like(x, tuple(y.shape))
    return y if y.stride() == expected.stride() else expected.copy_(y)


def _keep_operands(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    wanted = list(ctx.needs_input_grad)
    grads = iter(_gradient_operator(grad, *ctx.saved_tensors, wanted))
    return tuple(next(grads) if is_wanted else None for is_wanted in wanted)


_operator.register_autograd(_gradients, setup_context=_keep_operands)
