"""All backends compute the same, and who decides which one does."""

import itertools
import subprocess
import sys

import pytest
import torch

from mmfreq.models.mixers import adaptive_filter
from mmfreq.ops import (
    bands,
    choice,
    composition,
    dct,
    dct2,
    dynamic_filter2d,
    filter,
    idct2,
    spectral_filter2d,
    spectrum,
)
from mmfreq.ops.derived import MAX_VALUES, derived, forget
from mmfreq.ops.fft import irfft2, rfft2
from mmfreq.ops.layout import to_channels_last, to_planes
from mmfreq.ops.spectrum import from_parts, to_parts

SQUARES = [(side, side) for side in range(1, 130)]
BY_ARGUMENT = ['fft', 'gemm', 'mixed']
OTHERS = [(1, 129), (128, 1), (7, 101), (97, 64), (25, 42), (113, 127), (31, 2), (50, 84)]


def outputs_and_gradients(function, operands):
    leaves = [operand.clone().requires_grad_() for operand in operands]
    y = function(*leaves)
    probe = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).cos()
    return [y, *torch.autograd.grad((y.double() * probe).sum(), leaves)]


def assert_equal_up_to(tolerance, found, expected):
    for ours, reference in zip(found, expected, strict=True):
        error = (ours.double() - reference).norm() / reference.norm().clamp_min(1e-300)
        assert error < tolerance, error


@pytest.mark.parametrize('first', range(0, len(SQUARES), 43))
@pytest.mark.parametrize('backend', BY_ARGUMENT)
def test_squares_agree_with_float64(backend, first):
    for height, width in SQUARES[first : first + 43]:
        check_filter(backend, height, width)


@pytest.mark.parametrize('backend', BY_ARGUMENT)
@pytest.mark.parametrize(('height', 'width'), OTHERS)
def test_other_sizes_agree_with_float64(backend, height, width):
    check_filter(backend, height, width)
    check_dct(backend, height, width)


def check_filter(backend, height, width):
    x = torch.randn(2, 2, height, width).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(2, height, width // 2 + 1, 2)
    exact = outputs_and_gradients(
        lambda x, w: irfft2(rfft2(x) * torch.view_as_complex(w), (height, width)),
        (x.double(), weight.double()),
    )
    found = outputs_and_gradients(lambda x, w: spectral_filter2d(x, w, backend), (x, weight))
    assert_equal_up_to(1e-5, found, exact)


def check_dct(backend, height, width):
    x = torch.randn(2, height, width, 3)
    exact = outputs_and_gradients(lambda x: dct2(x, 'gemm'), (x.double(),))
    assert_equal_up_to(1e-5, outputs_and_gradients(lambda x: dct2(x, backend), (x,)), exact)
    torch.testing.assert_close(idct2(dct2(x, backend), backend=backend), x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('norm', ['ortho', 'backward', 'forward'])
@pytest.mark.parametrize('size', [(1, 1), (6, 5), (5, 8)])
def test_parts_of_any_spectrum(norm, size):
    for leading in [(), (2,), (2, 3), (2, 3, 2)]:
        x = torch.randn(*leading, *size, dtype=torch.float64)
        for ours, reference in zip(
            to_parts(x, norm, 'gemm'), to_parts(x, norm, 'fft'), strict=True
        ):
            torch.testing.assert_close(ours, reference)
        real, imag = torch.randn(2, *leading, size[0], size[1] // 2 + 1, dtype=torch.float64)
        torch.testing.assert_close(
            from_parts(real, imag, size[1], norm, 'gemm'),
            from_parts(real, imag, size[1], norm, 'fft'),
        )


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('backend', ['gemm', 'mixed'])
def test_dynamic_filters_without_fft2(backend, training):
    x, basis = torch.randn(2, 5, 6, 7), torch.randn(3, 6, 4, 2)
    coefficients = torch.randn(2, 3, 5)
    operands = (x, basis, coefficients)
    if training:
        exact = outputs_and_gradients(
            lambda *args: dynamic_filter2d(*args, 'fft'), [t.double() for t in operands]
        )
        found = outputs_and_gradients(lambda *args: dynamic_filter2d(*args, backend), operands)
        assert_equal_up_to(1e-5, found, exact)
    else:
        with torch.no_grad():
            torch.testing.assert_close(
                dynamic_filter2d(*operands, backend), dynamic_filter2d(*operands, 'fft')
            )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('backend', BY_ARGUMENT)
def test_autocast_computes_in_float32(backend, dtype):
    x, weight = torch.randn(2, 3, 14, 14), torch.randn(3, 14, 8, 2)
    exact = spectral_filter2d(x.double(), weight.double())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert_equal_up_to(1e-6, [spectral_filter2d(x, weight, backend)], [exact])
        half = spectral_filter2d(x.to(dtype), weight, backend)
    assert half.dtype == dtype
    # What is left is the rounding of input and output.
    assert_equal_up_to(4 * torch.finfo(dtype).eps, [half], [exact])


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('backend', BY_ARGUMENT)
def test_backends_keep_the_memory_format(backend, memory_format):
    x = torch.randn(2, 3, 6, 5).contiguous(memory_format=memory_format)
    y = spectral_filter2d(x, torch.randn(3, 6, 3, 2), backend)
    assert y.is_contiguous(memory_format=memory_format)


def test_only_real_numbers_in_products():
    from torch.utils._python_dispatch import TorchDispatchMode

    class NoComplex(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (list, tuple)) else (out,):
                assert not (isinstance(tensor, torch.Tensor) and tensor.is_complex()), func
            return out

    x, weight = torch.randn(2, 3, 6, 5), torch.randn(3, 6, 3, 2)
    with NoComplex():
        spectral_filter2d(x, weight, 'gemm')
        real, imag = to_parts(x, backend='gemm')
        from_parts(real, imag, 5, backend='gemm')


@pytest.mark.parametrize('change', ['in place', 'through data', 'set to zero'])
def test_prepared_filters_are_never_stale(change):
    x, weight = torch.randn(1, 3, 6, 5), torch.nn.Parameter(torch.randn(3, 6, 3, 2))
    with torch.no_grad():
        spectral_filter2d(x, weight, 'gemm')
        if change == 'in place':
            weight.mul_(2)
        elif change == 'through data':
            weight.data.add_(1)
        else:
            weight.zero_()
        torch.testing.assert_close(
            spectral_filter2d(x, weight, 'gemm'), spectral_filter2d(x, weight, 'fft')
        )


def test_derived_tensors_are_few_and_go_with_their_source():
    source = torch.randn(3, 2)
    calls = []
    for key in [*range(MAX_VALUES + 1), 0]:
        derived(source, key, lambda tensor: calls.append(1) or tensor * 2)
    assert len(calls) == MAX_VALUES + 2  # the first one was dropped
    derived(source, 0, lambda tensor: calls.append(1) or tensor)
    assert len(calls) == MAX_VALUES + 2
    forget(source)
    derived(source, 0, lambda tensor: calls.append(1) or tensor)
    assert len(calls) == MAX_VALUES + 3


@pytest.mark.parametrize('channels', [3, 128, 256])
def test_copies_between_layouts(channels):
    x = torch.randn(2, channels, 32, 16).contiguous(memory_format=torch.channels_last)
    planes = to_planes(x, torch.float64)
    assert planes.is_contiguous() and planes.equal(x.double())
    back = to_channels_last(planes, torch.float32)
    assert back.is_contiguous(memory_format=torch.channels_last) and back.equal(x)


# ---- who decides


@pytest.fixture
def features():
    return torch.randn(1, 96, 8, 8)


def chosen(x, requested='auto', operation='filter'):
    return choice.choose_backend(requested, x, (8, 8), 96, operation)


def test_argument_environment_and_table(features, monkeypatch, tmp_path):
    table = tmp_path / 'table.csv'
    table.write_text(
        'operation,device,mode,layout,height,width,channels,backend\n'
        'filter,cpu,inference,planes,7,7,96,gemm\n'
        'filter,cpu,inference,planes,64,64,96,fft\n'
        'filter,cpu,inference,channels-last,7,7,96,mixed\n'
        'filter,cpu,training,planes,7,7,96,fft\n'
    )
    monkeypatch.setattr(choice, 'TABLE', table)
    monkeypatch.delenv(choice.ENVIRONMENT, raising=False)
    for cache in (choice._table, choice._measured_best):
        cache.cache_clear()
    try:
        assert chosen(features) == 'gemm'
        assert choice.choose_backend('auto', features, (40, 60), 96) == 'fft'
        assert chosen(features.contiguous(memory_format=torch.channels_last)) == 'mixed'
        assert chosen(features.clone().requires_grad_()) == 'fft'
        assert chosen(features, operation='dct') == 'gemm'  # nothing was measured
        monkeypatch.setenv(choice.ENVIRONMENT, 'triton')
        assert chosen(features) == 'triton'
        assert chosen(features, 'fft') == 'fft'
        monkeypatch.setenv(choice.ENVIRONMENT, 'cufft')
        with pytest.raises(ValueError, match=r"MMFREQ_BACKEND must be one of .* got 'cufft'"):
            chosen(features)
    finally:
        for cache in (choice._table, choice._measured_best):
            cache.cache_clear()


def test_awkward_sides_are_compared_with_awkward_ones():
    row = choice._Row('filter', 'cpu', 'inference', 'planes', 199, 333, 64, 'mixed')
    others = [(17, 17, 512), (128, 97, 64), (200, 333, 64)]
    assert all(row.distance(other) < row.distance((200, 336, 64)) for other in others)
    assert row.distance((199, 334, 64)) < row.distance((199, 500, 64))


def test_every_row_of_the_table_names_a_backend():
    rows = choice._table()
    assert {row.backend for row in rows} <= {'fft', 'gemm', 'mixed', 'triton'}
    measured = {row[:4] for row in rows}
    modes = ('inference', 'training')
    assert measured >= {
        *itertools.product(['filter', 'bands'], ['cpu'], modes, ['channels-last', 'planes']),
        *itertools.product(['dct'], ['cpu'], modes, ['channels-last']),
    }


TABLES = [
    (filter.KERNELS, 'filter'),
    (spectrum.TO_PARTS, 'filter'),
    (spectrum.FROM_PARTS, 'filter'),
    (dct.KERNELS, 'dct'),
    (adaptive_filter.KERNELS, 'filter'),
    (bands.LOW_PASS, 'bands'),
    (composition.COMPOSE, 'kernels'),
]


@pytest.mark.parametrize(('kernels', 'operation'), TABLES)
def test_every_backend_means_a_kernel(kernels, operation, features):
    assert set(kernels) < set(choice.BACKENDS)

    def kernel(backend):
        return choice.choose_kernel(kernels, backend, features, (8, 8), 96, operation)

    stand_in = kernels[choice.STAND_INS[operation]]
    for backend in choice.BACKENDS[1:]:
        assert kernel(backend) is kernels.get(backend, stand_in)


@pytest.mark.parametrize(('kernels', 'operation'), TABLES)
def test_graphs_get_what_compilers_understand(kernels, operation, features):
    found = {}

    def trace(x):
        for backend in choice.BACKENDS[1:]:
            found[backend] = choice.choose_kernel(kernels, backend, x, (8, 8), 96, operation)
        return x + 1

    torch.jit.trace(trace, features, check_trace=False)
    stand_in = kernels[choice.STAND_INS[operation]]
    assert found == dict(fft=kernels['fft'], gemm=kernels['gemm'], mixed=stand_in, triton=stand_in)


def test_the_choice_is_logged_once_at_debug_level():
    code = (
        'import logging; logging.basicConfig(level=logging.DEBUG); import torch\n'
        'from mmfreq.ops import spectral_filter2d\n'
        'x, w = torch.randn(1, 4, 6, 5), torch.randn(4, 6, 3, 2)\n'
        'for _ in range(3): spectral_filter2d(x, w)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if 'mmfreq' in line]
    assert len(lines) == 1
    assert 'filter on 4 maps of 6x5, planes, on cpu, inference: ' in lines[0]


def test_unknown_backends_are_named(features):
    listed = r"one of \('auto', 'fft', 'gemm', 'mixed', 'triton'\), got 'mkl'"
    with pytest.raises(ValueError, match=listed):
        spectral_filter2d(features, torch.randn(96, 8, 5, 2), 'mkl')


def test_missing_triton_names_the_extra(features, monkeypatch):
    monkeypatch.setitem(sys.modules, 'triton', None)
    for name in ('tiles', 'filter', 'dct'):
        monkeypatch.delitem(sys.modules, f'mmfreq.ops.kernels.triton.{name}', raising=False)
        monkeypatch.delattr(f'mmfreq.ops.kernels.triton.{name}', raising=False)
    with pytest.raises(ImportError, match=r"pip install 'mmfreq\[triton\]'"):
        spectral_filter2d(features, torch.randn(96, 8, 5, 2), 'triton')
    with pytest.raises(ImportError, match=r"pip install 'mmfreq\[triton\]'"):
        dct2(features, 'triton')


def test_a_config_value_reaches_every_layer():
    from families import TINY

    network = TINY['GFNet'](backend='gemm')
    found = {module.backend for module in network.modules() if hasattr(module, 'backend')}
    assert found == {'gemm'}
    with pytest.raises(ValueError, match='backend must be one of'):
        TINY['AFFNet'](backend='cudnn')
