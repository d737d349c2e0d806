"""What each operator of a traced network costs: handlers for fvcore, Fourier transforms included.

fvcore has none for transforms, complex products, attention and interpolated filters, and those it
has for matrix products take neither broadcast nor complex operands.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fvcore.nn.jit_handles import conv_flop_count, get_shape

__all__ = ['CONVENTIONS', 'FREE_OPERATORS', 'Convention', 'operator_costs']

Handle = Callable[[list[Any], list[Any]], float]


class Convention(NamedTuple):
    """How operations are counted.

    Norms, activations, softmax and additions count nothing: as in the papers, and in the networks
    of this library they are below five percent.

    Attributes:
        unit (str): What is counted.
        multiply_add (float): Of a multiplication whose product is added up; a complex one is four
            of them.
        complex_product (float): Of an element-wise product of complex numbers; a real one is 1.
        transform (float): Factor of ``N * log2(N)`` for a Fourier transform between N real values
            and their spectrum; one of N complex values costs twice as much.
        description (str): The convention in words.
    """

    unit: str
    multiply_add: float
    complex_product: float
    transform: float
    description: str


CONVENTIONS = {
    'paper': Convention(
        'multiply-adds',
        1,
        4,
        1,
        'as the papers count: a multiplication with its addition is one, '
        'an FFT of N real values N log2 N',
    ),
    'exact': Convention(
        'real operations',
        2,
        6,
        2.5,
        'multiplications and additions are one each, an FFT of N real values 2.5 N log2 N',
    ),
}


def operator_costs(convention: Convention) -> dict[str, Handle]:
    """Handlers by operator, for ``FlopCountAnalysis.set_op_handle``.

    Args:
        convention (Convention): How operations are counted.

    Returns:
        dict[str, Callable]: For each operator a function of its inputs and outputs in a traced
        graph that returns its cost.
    """

    def multiply_add(count: Handle) -> Handle:
        return lambda inputs, outputs: convention.multiply_add * count(inputs, outputs)

    def transform(count: Handle) -> Handle:
        return lambda inputs, outputs: convention.transform * count(inputs, outputs)

    def product(inputs: list[Any], outputs: list[Any]) -> float:
        if not all(get_shape(value) for value in inputs[:2]):  # one of them is a number
            return 0
        complexity = {0: 1, 1: 2, 2: convention.complex_product}
        return complexity[sum(map(_is_complex, inputs[:2]))] * _numel(outputs[0])

    return {
        **{name: multiply_add(count) for name, count in _MULTIPLY_ADDS.items()},
        **{name: transform(count) for name, count in _TRANSFORMS.items()},
        'aten::avg_pool2d': _average_pool,
        'aten::mul': product,
        'aten::mul_': product,
    }


def _numel(value: Any) -> int:
    return math.prod(get_shape(value))


def _is_complex(value: Any) -> bool:
    return value.type().scalarType().startswith('Complex')


def _matrix_product(first: int, second: int) -> Handle:
    """Multiply-adds of a product of matrices, which are these inputs; any of them may broadcast."""

    def count(inputs: list[Any], outputs: list[Any]) -> float:
        a, b = inputs[first], inputs[second]
        parts = (1 + _is_complex(a)) * (1 + _is_complex(b))
        return parts * _numel(outputs[0]) * get_shape(a)[-1]

    return count


def _convolution(inputs: list[Any], outputs: list[Any]) -> float:
    transposed = len(inputs) > 6 and inputs[6].toIValue() is True
    shapes = (get_shape(value) for value in (*inputs[:2], outputs[0]))
    return conv_flop_count(*shapes, transposed=transposed)


def _deformable_convolution(weight: int) -> Handle:
    """The convolution, and a bilinear sample of four values for each value that it reads."""

    def count(inputs: list[Any], outputs: list[Any]) -> float:
        x, kernel = get_shape(inputs[0]), get_shape(inputs[weight])
        positions = _numel(outputs[0]) // kernel[0]
        return positions * (math.prod(kernel) + 4 * x[1] * math.prod(kernel[2:]))

    return count


def _attention(inputs: list[Any], outputs: list[Any]) -> float:
    keys, values = get_shape(inputs[1]), get_shape(inputs[2])
    return _numel(inputs[0]) * keys[-2] + _numel(outputs[0]) * values[-2]


def _einsum(inputs: list[Any], outputs: list[Any]) -> float:
    """Multiply-adds of contracting the operands one after the other, as torch does."""
    left, _, result = inputs[0].toIValue().replace(' ', '').partition('->')
    operands = list(inputs[1].node().inputs())
    terms = []
    sizes: dict[str, int] = {}
    for term, operand in zip(left.split(','), operands, strict=True):
        shape = get_shape(operand)
        before, dots, after = term.partition('...')
        hidden = len(shape) - len(before + after) if dots else 0
        # Numbered from the right, as broadcasting aligns them.
        labels = [*before, *(f'.{i}' for i in range(hidden, 0, -1)), *after]
        for label, size in zip(labels, shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
        terms.append(labels)
    parts = 1 + _is_complex(operands[0])
    total = 0.0
    kept = set(terms[0])
    for i in range(1, len(terms)):
        kept |= set(terms[i])
        parts_here = parts * (1 + _is_complex(operands[i]))
        total += parts_here * math.prod(sizes[label] for label in kept)
        needed = {*result, *(label for term in terms[i + 1 :] for label in term)}
        kept = {label for label in kept if label in needed or label.startswith('.')}
        parts = max(parts, 1 + _is_complex(operands[i]))
    return total


def _per_output(count: int) -> Handle:
    return lambda inputs, outputs: count * _numel(outputs[0])


def _transform(dim: int, real_input: bool, real_output: bool) -> Handle:
    """``N * log2(N)`` of a transform whose axes are input ``dim`` of the operator."""

    def count(inputs: list[Any], outputs: list[Any]) -> float:
        shape = list(get_shape(inputs[0] if real_input else outputs[0]))
        axes = _integers(inputs[dim]) or range(len(shape))
        size = math.prod(shape[axis] for axis in axes)
        transforms = math.prod(shape) / size
        factor = 1 if real_input or real_output else 2
        return factor * transforms * size * math.log2(size)

    return count


def _integers(value: Any) -> Sequence[int]:
    """A list of integers, or one, in a traced graph; empty for None."""
    constant = value.toIValue()
    if constant is None:
        return [item.toIValue() for item in value.node().inputs()]
    return [constant] if isinstance(constant, int) else constant


def _average_pool(inputs: list[Any], outputs: list[Any]) -> float:
    """Additions: a pooling is a token mixer in some networks, so it counts."""
    kernel = list(_integers(inputs[1]))
    return _numel(outputs[0]) * math.prod(kernel if len(kernel) == 2 else 2 * kernel)


# Samples per value of a region; with sampling_ratio=0 their number depends on the region's size.
ROI_SAMPLES = 4

_MULTIPLY_ADDS: dict[str, Handle] = {
    **{f'aten::{name}': _matrix_product(0, 1) for name in ('linear', 'matmul', 'mm', 'bmm')},
    **{f'aten::{name}': _matrix_product(1, 2) for name in ('addmm', 'baddbmm')},
    **{
        f'aten::{name}': _convolution
        for name in ('_convolution', '_convolution_mode', 'convolution', 'conv1d', 'conv2d')
    },
    'aten::einsum': _einsum,
    'aten::scaled_dot_product_attention': _attention,
    'aten::addcmul': _per_output(1),
    'aten::upsample_bilinear2d': _per_output(4),
    'aten::upsample_bicubic2d': _per_output(16),
    'aten::grid_sampler': _per_output(4),
    'torchvision::roi_align': _per_output(4 * ROI_SAMPLES),
    'prim::PythonOp.RoIAlignFunction': _per_output(4 * ROI_SAMPLES),
    'torchvision::deform_conv2d': _deformable_convolution(1),
    'prim::PythonOp.DeformConv2dFunction': _deformable_convolution(2),
    'prim::PythonOp.ModulatedDeformConv2dFunction': _deformable_convolution(3),
}

_TRANSFORMS: dict[str, Handle] = {
    **{
        f'aten::fft_{name}{axes}': _transform(2, name == 'rfft', name == 'irfft')
        for name in ('fft', 'ifft', 'rfft', 'irfft')
        for axes in ('', '2', 'n')
    },
    'aten::_fft_r2c': _transform(1, True, False),
    'aten::_fft_c2r': _transform(1, False, True),
    'aten::_fft_c2c': _transform(1, False, False),
}

# Beyond those that fvcore leaves out: moving and comparing values, and what no convention counts.
_FREE_NAMES = """
    _conj _shape_as_tensor abs adaptive_avg_pool2d add add_ addcdiv amax amin argmax argsort
    batch_norm celu clamp_max clamp_max_ clamp_min clamp_min_ clone complex concat concatenate
    conj cos cumsum diff div div_ elu embedding erf exp expand_as feature_dropout fft_fftshift
    fft_ifftshift fill_ flip floor_ ge_ gelu group_norm hardsigmoid hardsigmoid_ hardswish
    hardswish_ hardtanh hardtanh_ im2col imag index_select instance_norm is_complex
    is_floating_point isfinite layer_norm le leaky_relu leaky_relu_ lift_fresh linspace log
    log1p log2 log_softmax logical_and logical_not logical_or lt masked_fill_ masked_select
    max_pool2d maximum mean meshgrid min minimum mish movedim ne neg new_ones norm numpy_T
    ones_like pad pixel_shuffle pixel_unshuffle pow prelu real reciprocal reflection_pad2d relu6
    relu6_ repeat repeat_interleave replication_pad2d resolve_conj round rsqrt rsub
    scalar_tensor scatter scatter_ selu sigmoid sigmoid_ sign silu silu_ sin slice_scatter
    softmax softplus softshrink sort sqrt square squeeze_ std std_mean sub sub_ sum swapaxes
    tanh tanh_ tensor_split threshold topk tril triu unflatten unfold unsqueeze_
    upsample_nearest2d var var_mean view_as view_as_complex view_as_real where zero_
"""
FREE_OPERATORS = frozenset(
    # The second one keeps inputs for recomputing a block.
    [f'aten::{name}' for name in _FREE_NAMES.split()] + ['prim::PythonOp._NoopSaveInputs']
)
