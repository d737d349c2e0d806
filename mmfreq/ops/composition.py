"""Kernels of FDConv, composed for every sample of a batch.

A kernel is the inverse transform of one stored spectrum, whose groups of coefficients are weighed,
times factors of its channels, filters, positions and single weights. The kernels of a network have
as many elements as its weights and are made anew in every forward pass: what is not part of a graph
is computed in few passes over memory, in place where possible, with a gradient of our own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmfreq.ops.choice import choose_backend, choose_kernel
from mmfreq.ops.fft import hermitian_for_inverse, inverse_of_hermitian, rfft2
from mmfreq.ops.kernel_spectrum import spectrum_to_kernel
from mmfreq.ops.products import product_along_rows
from mmfreq.ops.tracing import is_compiled_for_cpu, is_traced, without_autocast

__all__ = ['COMPOSE', 'Attentions', 'compose_kernels']

Shape = tuple[int, int, int, int]


class Attentions(NamedTuple):
    """What kernels are weighed with, for each of ``B`` samples, in float32 or float64.

    Attributes:
        groups (Tensor): Factors of groups of coefficients, shape ``(B, G)``.
        channels (Tensor): Factors of input channels, shape ``(B, I)``.
        filters (Tensor): Factors of filters, shape ``(B, O)``.
        positions (Tensor, optional): Factors of positions in the kernel, shape ``(B, k * k)``; None
            for 1x1 kernels only.
        windows (Tensor, optional): Descriptors of each input channel and its neighbours, shape
            ``(B, I, width)``. The factor of a single weight is ``2 * sigmoid`` of their product
            with its row of ``local``.
        local (Tensor, optional): Shape ``(O * k * k, width)``.
    """

    groups: Tensor
    channels: Tensor
    filters: Tensor
    positions: Tensor | None = None
    windows: Tensor | None = None
    local: Tensor | None = None


def compose_kernels(
    spectrum: Tensor,
    group_map: Tensor,
    attentions: Attentions,
    shape: Shape,
    backend: str = 'auto',
) -> Tensor:
    """Weigh a spectrum and its kernel for every sample.

    Args:
        spectrum (Tensor): Real and imaginary parts of shape ``(O * k, I * k // 2 + 1, 2)``, see
            :func:`mmfreq.ops.kernel_spectrum.kernel_to_spectrum`.
        group_map (Tensor): Group of each coefficient, integers of shape
            ``(O * k, I * k // 2 + 1)``.
        attentions (Attentions): What to weigh with.
        shape (tuple[int, int, int, int]): ``(O, I, k, k)``.
        backend (str): See :mod:`mmfreq.ops.choice`. Defaults to ``'auto'``.

    Returns:
        Tensor: Kernels of shape ``(B, O, I, k, k)``, dtype of the attentions.
    """
    out_channels, in_channels, height, width = shape
    size = (out_channels * height, in_channels * width)
    dtype = attentions.groups.dtype
    choice = (backend, spectrum, size, 1, 'kernels')
    if is_compiled_for_cpu(spectrum) and choose_backend(*choice) != 'gemm':
        return _operator(spectrum.to(dtype), group_map, *attentions, shape)
    compose = choose_kernel(COMPOSE, *choice)
    with without_autocast(spectrum.device):
        return compose(spectrum.to(dtype), group_map, attentions, shape)


def _by_formula(
    backend: str, spectrum: Tensor, group_map: Tensor, attentions: Attentions, shape: Shape
) -> Tensor:
    groups, channels, filters, positions, windows, local = attentions
    gains = groups[:, group_map.long()]
    kernels = spectrum_to_kernel(spectrum * gains.unsqueeze(-1), shape, backend)
    kernels = kernels * (filters[:, :, None] * channels[:, None])[..., None, None]
    if positions is not None:
        kernels = kernels * positions.reshape(-1, 1, 1, *shape[2:])
    if windows is not None and local is not None:
        factors = 2 * torch.sigmoid(local @ windows.transpose(1, 2))
        kernels = kernels * factors.unflatten(1, (shape[0], *shape[2:])).movedim(-1, 2)
    return kernels


def _by_fft(spectrum: Tensor, group_map: Tensor, attentions: Attentions, shape: Shape) -> Tensor:
    if is_traced():
        return _by_formula('fft', spectrum, group_map, attentions, shape)
    if torch.is_grad_enabled():
        return _Compose.apply(spectrum, group_map, shape, *attentions)
    return _composed(spectrum, group_map, attentions, shape)


def _composed(spectrum: Tensor, group_map: Tensor, attentions: Attentions, shape: Shape) -> Tensor:
    images = _images(spectrum, group_map, attentions.groups, shape)
    return _weigh(images, attentions, _local_factors(attentions))


# Spectrum in the dtype of the attentions, group map, attentions and shape, as in compose_kernels.
COMPOSE: dict[str, Callable[[Tensor, Tensor, Attentions, Shape], Tensor]] = {
    'fft': _by_fft,
    'gemm': partial(_by_formula, 'gemm'),
}


class _Compose(torch.autograd.Function):
    """The kernels and their gradient.

    Weights ``(B, O * k * k, I)`` are the product of the transformed spectra, of factors of rows
    (filters and positions), of columns (input channels), and of single weights.
    """

    @staticmethod
    def forward(
        ctx: Any, spectrum: Tensor, group_map: Tensor, shape: Shape, *attentions: Tensor
    ) -> Tensor:
        weighed = Attentions(*attentions)
        images = _images(spectrum, group_map, weighed.groups, shape)
        factors = _local_factors(weighed)
        ctx.shape = shape
        ctx.save_for_backward(spectrum, group_map, images, factors, *attentions)
        return _weigh(images, weighed, factors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        spectrum, group_map, images, factors, *saved = ctx.saved_tensors
        attentions = Attentions(*saved)
        with torch.autocast(grad.device.type, enabled=False):
            if torch.is_grad_enabled():  # the gradient is to be differentiated, too
                kernels = _by_formula('fft', spectrum, group_map, attentions, ctx.shape)
                grads = _gradients(kernels, (spectrum, *saved), grad)
            else:
                grads = _gradients_in_place(
                    spectrum, group_map, attentions, ctx.shape, images, factors, grad
                )
        return grads[0], None, None, *grads[1:]


def _gradients(
    y: Tensor, inputs: tuple[Tensor | None, ...], grad: Tensor
) -> tuple[Tensor | None, ...]:
    """Differentiable gradients with regard to the inputs that have one."""
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, grad, create_graph=True))
    return tuple(next(found) if x is not None and x.requires_grad else None for x in inputs)


def _gradients_in_place(
    spectrum: Tensor,
    group_map: Tensor,
    attentions: Attentions,
    shape: Shape,
    images: Tensor,
    factors: Tensor | None,
    grad: Tensor,
) -> tuple[Tensor | None, ...]:
    """Gradients with regard to the spectrum and all attentions."""
    _, channels, filters, positions, windows, local = attentions
    rows = _row_factors(attentions)
    grad = grad.movedim(2, -1).contiguous()  # (B, O, k, k, I)
    by_weight = (grad * images).flatten(1, 3)  # (B, O * k * k, I), as all that follows
    grad = grad.flatten(1, 3)
    grad_windows = grad_local = None
    if factors is not None:
        by_weight *= factors
        grad = grad * factors
    grad_rows = _product(by_weight, channels.unsqueeze(2)).squeeze(2)
    grad_channels = _product(rows.unsqueeze(1), by_weight).squeeze(1)
    if windows is not None and local is not None and factors is not None:
        # Of 2 * sigmoid, f: the derivative is f * (1 - f / 2).
        by_weight.addcmul_(by_weight, factors, value=-0.5)
        by_row = _product(by_weight, windows * channels.unsqueeze(2))
        grad_local = (by_row * rows.unsqueeze(2)).sum(0)
        by_column = _product((rows.unsqueeze(2) * local).transpose(1, 2), by_weight)
        grad_windows = (by_column * channels.unsqueeze(1)).transpose(1, 2)
    del by_weight
    grad = grad * channels.unsqueeze(1)
    grad *= rows.unsqueeze(2)
    grad_spectrum, grad_groups = _grad_of_images(
        spectrum, group_map, attentions.groups, _as_images(grad, shape)
    )
    grad_filters, grad_positions = grad_rows, None
    if positions is not None:
        grad_rows = grad_rows.unflatten(1, (-1, positions.shape[1]))
        grad_filters = (grad_rows * positions.unsqueeze(1)).sum(2)
        grad_positions = (grad_rows * filters.unsqueeze(2)).sum(1)
    return (
        *(grad_spectrum, grad_groups, grad_channels, grad_filters),
        *(grad_positions, grad_windows, grad_local),
    )


def _product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b`` for a batch of which one side is narrow.

    A CPU takes several times as long for them together as for one after the other.
    """
    if a.device.type != 'cpu':
        return a @ b
    if b.shape[2] < b.shape[1]:
        products = [product_along_rows(x[None], y.T)[0] for x, y in zip(a, b, strict=True)]
    else:
        products = [x @ y for x, y in zip(a, b, strict=True)]
    return torch.stack(products)


def _images(spectrum: Tensor, group_map: Tensor, groups: Tensor, shape: Shape) -> Tensor:
    """The transformed spectra, a view of shape ``(B, O, k, k, I)``."""
    out_channels, in_channels, height, width = shape
    z = _gains(group_map, groups)
    torch.view_as_real(z).mul_(spectrum)
    size = (out_channels * height, in_channels * width)
    images = inverse_of_hermitian(hermitian_for_inverse(z, size[1]), size, 'backward')
    images = images.unflatten(1, (out_channels, height)).unflatten(-1, (in_channels, width))
    return images.movedim(-1, 3)


def _as_images(weights: Tensor, shape: Shape) -> Tensor:
    """The other way round: ``(B, O * k, I * k)``."""
    out_channels, _, height, width = shape
    weights = weights.unflatten(1, (out_channels, height, width)).movedim(3, -1)
    return weights.flatten(3, 4).flatten(1, 2)


def _gains(group_map: Tensor, groups: Tensor) -> Tensor:
    """Gain of each coefficient, both for its real and for its imaginary part."""
    pairs = torch.complex(groups, groups)
    index = group_map.flatten().int()
    if groups.device.type != 'cpu':
        return pairs.index_select(1, index).unflatten(1, group_map.shape)
    gains = pairs.new_empty(len(groups), *group_map.shape)
    for pair, of_sample in zip(pairs, gains, strict=True):
        torch.index_select(pair, 0, index, out=of_sample.view(-1))
    return gains


def _grad_of_images(
    spectrum: Tensor, group_map: Tensor, groups: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of spectrum and groups from that of the images ``(B, O * k, I * k)``."""
    width = grad.shape[-1]
    z = rfft2(grad, norm='forward')
    # Most columns stand for two.
    z[..., 1 : (width + 1) // 2] *= 2
    conjugate = torch.view_as_complex(spectrum.contiguous()).conj()
    by_row = spectrum.new_zeros(len(z), len(spectrum), groups.shape[1])
    by_row.scatter_add_(2, group_map.long().expand(z.shape), (z * conjugate).real)
    grad_groups = by_row.sum(1)
    parts = torch.view_as_real(z).mul_(torch.view_as_real(_gains(group_map, groups)))
    return parts.sum(0) if len(parts) > 1 else parts[0], grad_groups


def _row_factors(attentions: Attentions) -> Tensor:
    """Factors of filters and positions, shape ``(B, O * k * k)``."""
    if attentions.positions is None:
        return attentions.filters
    return (attentions.filters.unsqueeze(2) * attentions.positions.unsqueeze(1)).flatten(1)


def _local_factors(attentions: Attentions) -> Tensor | None:
    """Factors of single weights, shape ``(B, O * k * k, I)``."""
    if attentions.windows is None or attentions.local is None:
        return None
    local = attentions.local.expand(len(attentions.windows), -1, -1)
    return torch.bmm(local, attentions.windows.transpose(1, 2)).sigmoid_().mul_(2)


def _weigh(images: Tensor, attentions: Attentions, factors: Tensor | None) -> Tensor:
    """Kernels ``(B, O, I, k, k)`` from the transformed spectra and all factors."""
    kernels = _row_factors(attentions).unsqueeze(-1) * attentions.channels.unsqueeze(1)
    if factors is not None:
        kernels *= factors
    kernels = kernels.view(images.shape).mul_(images)
    if images.shape[2:4] == (1, 1):  # a 1x1 kernel with other strides would pass for channels-last
        return kernels.flatten(2)[..., None, None]
    return kernels.movedim(-1, 2).contiguous()


# Compiled for a CPU, composing is an operator that the compiler does not look into: of a whole
# network's kernels it makes products that take forty times as long.


OPERANDS = """Tensor spectrum, Tensor group_map, Tensor groups, Tensor channels, Tensor filters,
    Tensor? positions, Tensor? windows, Tensor? local, int[] shape"""


@torch.library.custom_op(
    'mmfreq::compose_kernels', mutates_args=(), schema=f'({OPERANDS}) -> Tensor'
)
def _operator(spectrum: Tensor, group_map: Tensor, *others: Any) -> Tensor:
    *attentions, shape = others
    with without_autocast(spectrum.device):
        return _composed(spectrum, group_map, Attentions(*attentions), shape).contiguous()


@_operator.register_fake
def _(spectrum: Tensor, group_map: Tensor, groups: Tensor, *others: Any) -> Tensor:
    return groups.new_empty(groups.shape[0], *others[-1])


@torch.library.custom_op(
    'mmfreq::compose_kernels_gradients',
    mutates_args=(),
    schema=f'(Tensor grad, {OPERANDS}) -> Tensor[]',
)
def _gradient_operator(
    grad: Tensor, spectrum: Tensor, group_map: Tensor, *others: Any
) -> list[Tensor]:
    *weights, shape = others
    attentions = Attentions(*weights)
    with without_autocast(grad.device):
        images = _images(spectrum, group_map, attentions.groups, shape)
        factors = _local_factors(attentions)
        grads = _gradients_in_place(spectrum, group_map, attentions, shape, images, factors, grad)
    return [found.contiguous() for found in grads if found is not None]


@_gradient_operator.register_fake
def _(grad: Tensor, spectrum: Tensor, group_map: Tensor, *others: Any) -> list[Tensor]:
    return [x.new_empty(x.shape) for x in (spectrum, *others[:-1]) if x is not None]


def _keep_operands(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:-1])
    ctx.shape = inputs[-1]


def _gradients_of_operator(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    spectrum, group_map, *attentions = ctx.saved_tensors
    grads = iter(_gradient_operator(grad, spectrum, group_map, *attentions, ctx.shape))
    first = next(grads)
    return first, None, *(None if x is None else next(grads) for x in attentions), None


_operator.register_autograd(_gradients_of_operator, setup_context=_keep_operands)
