"""The CUDA kernels in Triton's interpreter, see conftest.py: no GPU is needed, nor timed."""

import logging
import os
import subprocess
import sys

import pytest
import torch

from mmfreq.ops import dct2, dynamic_filter2d, idct2, spectral_filter2d

pytest.importorskip('triton', minversion='3.3')  # 3.2, of torch 2.6, has no tuples as arguments

SIZES = [(1, 1), (7, 7), (14, 14), (16, 15), (5, 64), (33, 18), (61, 37), (64, 64)]


def compare(found, expected, tolerance):
    for ours, reference in zip(found, expected, strict=True):
        assert (ours.double() - reference).norm() < tolerance * reference.norm()


def outputs_and_gradients(function, operands, probe):
    leaves = [operand.clone().requires_grad_() for operand in operands]
    y = function(*leaves)
    return [y, *torch.autograd.grad((y.double() * probe).sum(), leaves)]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('per_sample', [False, True])
def test_agrees_with_float64(size, per_sample):
    height, width = size
    x = torch.randn(3, 2, height, width).contiguous(memory_format=torch.channels_last)
    shape = (3, 2) if per_sample else (2,)
    weight = torch.randn(*shape, height, width // 2 + 1, 2)
    probe = torch.randn(x.shape, dtype=torch.float64)
    exact = outputs_and_gradients(
        lambda x, w: spectral_filter2d(x, w, 'fft'), (x.double(), weight.double()), probe
    )
    found = outputs_and_gradients(
        lambda x, w: spectral_filter2d(x, w, 'triton'), (x, weight), probe
    )
    compare(found, exact, 1e-5)
    assert found[0].is_contiguous(memory_format=torch.channels_last)


def test_gradients_of_many_samples_are_summed_in_parts(monkeypatch):
    monkeypatch.setattr('mmfreq.ops.kernels.triton.filter.PROGRAMS', 4)
    x, weight = torch.randn(5, 2, 6, 5), torch.randn(2, 6, 3, 2)
    probe = torch.randn(x.shape, dtype=torch.float64)
    found = outputs_and_gradients(
        lambda x, w: spectral_filter2d(x, w, 'triton'), (x, weight), probe
    )
    exact = outputs_and_gradients(
        lambda x, w: spectral_filter2d(x, w, 'fft'), (x.double(), weight.double()), probe
    )
    compare(found, exact, 1e-5)


def test_dynamic_filters_and_half_precision():
    x, basis = torch.randn(2, 5, 6, 7), torch.randn(3, 6, 4, 2)
    coefficients = torch.randn(2, 3, 5)
    exact = dynamic_filter2d(x.double(), basis.double(), coefficients.double(), 'fft')
    compare([dynamic_filter2d(x, basis, coefficients, 'triton')], [exact], 1e-5)
    half = dynamic_filter2d(x.bfloat16(), basis, coefficients, 'triton')
    assert half.dtype == torch.bfloat16
    compare([half], [exact], 1e-2)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('transform', [dct2, idct2])
def test_cosine_transforms_agree_with_float64(transform, size):
    x = torch.randn(3, *size, 2)
    probe = torch.randn(x.shape, dtype=torch.float64)
    exact = outputs_and_gradients(lambda x: transform(x, backend='gemm'), (x.double(),), probe)
    found = outputs_and_gradients(lambda x: transform(x, backend='triton'), (x,), probe)
    compare(found, exact, 1e-5)
    assert found[0].is_contiguous()


def test_cosine_transforms_of_half_precision_and_any_strides():
    x = torch.randn(2, 5, 7, 6).permute(0, 2, 3, 1)
    exact = dct2(x.double(), backend='gemm')
    compare([dct2(x, backend='triton')], [exact], 1e-5)
    half = dct2(x.bfloat16(), backend='triton')
    assert half.dtype == torch.float32
    compare([half], [exact], 1e-2)


@pytest.mark.parametrize(
    ('size', 'dtype', 'reason'),
    [((65, 8), torch.float32, 'larger than 64'), ((9, 8), torch.float64, 'is not float32')],
)
def test_what_it_does_not_cover_falls_back_with_one_line(size, dtype, reason, monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmfreq.ops.kernels.triton.tiles.log',
        lambda message, level: messages.append((message, level)),
    )
    x = torch.randn(1, 2, *size, dtype=dtype)
    weight = torch.randn(2, size[0], size[1] // 2 + 1, 2, dtype=dtype)
    for _ in range(2):
        y = spectral_filter2d(x, weight, 'triton')
        z = dct2(x.permute(0, 2, 3, 1), 'triton')
    torch.testing.assert_close(y, spectral_filter2d(x, weight, 'fft'), rtol=0, atol=0)
    torch.testing.assert_close(z, dct2(x.permute(0, 2, 3, 1), 'gemm'), rtol=0, atol=0)
    assert len(messages) == 2
    for (message, level), instead in zip(messages, ('fft', 'gemm'), strict=True):
        assert f"'{instead}' is used" in message and reason in message
        assert level == logging.WARNING


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from mmfreq.ops.kernels.triton import dct as triton_dct, filter as triton_filter
features = ('x_pointer', 'y_pointer', 'grad_pointer')
others = ('weight_pointer', 'partial_pointer', 'row_cos', 'row_sin', 'col_cos', 'col_sin')
others += ('inverse_cos', 'inverse_sin', '_counts', 'counts', 'row_matrix', 'col_matrix')
import torch
device = torch.device('cpu')
_, fourier = triton_filter._matrices({side}, {side}, device)
_, cosine = triton_dct._matrices({side}, {side}, device, False)
for kernel, settings in (
    (triton_filter._filter_kernel, fourier),
    (triton_filter._gradient_kernel, fourier),
    (triton_dct._transform_kernel, cosine),
):
    tiles = {{name: value for name, value in settings.items() if name.startswith('TILE')}}
    options = {{name: value for name, value in settings.items() if name not in tiles}}
    kinds = {{name: 'i32' for name in kernel.arg_names}}
    kinds.update({{name: {pointer!r} for name in features if name in kinds}})
    kinds.update({{name: '*fp32' for name in others if name in kinds}})
    kinds.update({{name: 'constexpr' for name in tiles}})
    if 'sign' in kinds:
        kinds['sign'] = 'fp32'
    source = ASTSource(kernel, kinds, tiles)
    print(triton.compile(source, target=GPUTarget('cuda', 90, 32), options=options).metadata.shared)
"""


@pytest.mark.parametrize(('pointer', 'side'), [('*fp32', 14), ('*fp32', 64), ('*bf16', 64)])
def test_kernels_compile_for_a_gpu_and_fit(pointer, side):
    """Into machine code for compute capability 9.0, whose blocks have 227 KiB of shared memory."""
    environment = {name: value for name, value in os.environ.items() if name != 'TRITON_INTERPRET'}
    code = COMPILE.format(pointer=pointer, side=side)
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(int(size) <= 227 * 1024 for size in done.stdout.split())
    assert len(done.stdout.split()) == 3
