import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmfreq.ops import dynamic_filter2d, spectral_filter2d
from mmfreq.ops.kernels import fft
from mmfreq.ops.layout import without_slow_strides

SIZES = [(1, 1), (1, 4), (2, 2), (3, 5), (4, 6), (5, 4), (7, 7), (8, 3)]


def circular_convolution(x, weight):
    """Reference: circular convolution with the filter's impulse response, summed in float64.

    The response comes from a direct sum over the half spectrum; columns that no real image has
    contribute their real part, as in numpy.fft.irfft2.
    """
    x = x.double()
    gain = torch.view_as_complex(weight.double().contiguous())
    height, width = x.shape[-2:]
    rows = torch.arange(height, dtype=torch.float64)
    columns = torch.arange(width, dtype=torch.float64)
    kernel = torch.zeros(*gain.shape[:-2], height, width, dtype=torch.float64)
    for v in range(width // 2 + 1):
        twice = 1 if v == 0 or 2 * v == width else 2
        for u in range(height):
            angle = 2 * np.pi * (u * rows[:, None] / height + v * columns[None] / width)
            wave = torch.polar(torch.ones_like(angle), angle)
            kernel = kernel + twice * (gain[..., u, v, None, None] * wave).real / (height * width)
    y = torch.zeros_like(x)
    for i in range(height):
        for j in range(width):
            y = y + kernel[..., i, j, None, None] * torch.roll(x, (i, j), (-2, -1))
    return y


def operands(size, dtype=torch.float32, per_sample=False):
    height, width = size
    x = torch.randn(2, 3, height, width, dtype=dtype)
    batch = (2,) if per_sample else ()
    return x, torch.randn(*batch, 3, height, width // 2 + 1, 2, dtype=dtype)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('per_sample', [False, True])
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_output_and_gradients_against_direct_sum(size, per_sample, dtype, tolerance):
    x, weight = operands(size, dtype, per_sample)
    probe = torch.randn(*x.shape, dtype=torch.float64)
    results = []
    for function in (spectral_filter2d, circular_convolution):
        leaves = [t.clone().requires_grad_() for t in (x, weight)]
        y = function(*leaves)
        grads = torch.autograd.grad((y.double() * probe).sum(), leaves)
        results.append([t.double() for t in (y, *grads)])
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('size', [(3, 4), (4, 5)])
@pytest.mark.parametrize('per_sample', [False, True])
def test_gradcheck(size, per_sample):
    x, weight = operands(size, torch.float64, per_sample)
    leaves = (x.requires_grad_(), weight.requires_grad_())
    assert torch.autograd.gradcheck(spectral_filter2d, leaves)


@pytest.mark.parametrize(
    'memory_format', [torch.contiguous_format, torch.channels_last], ids=['nchw', 'nhwc']
)
def test_keeps_the_memory_format(memory_format):
    x, weight = operands((6, 5))
    x = x.contiguous(memory_format=memory_format)
    y = spectral_filter2d(x, weight)
    assert y.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(y, spectral_filter2d(x.contiguous(), weight))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_input_and_weight(dtype):
    x, weight = operands((6, 5))
    y = spectral_filter2d(x.to(dtype), weight.to(dtype))
    assert y.dtype == dtype
    exact = spectral_filter2d(x.to(dtype).double(), weight.to(dtype).double())
    torch.testing.assert_close(y, exact.to(dtype), rtol=1e-2, atol=1e-2)


def test_autocast_changes_nothing():
    x, weight = operands((6, 5))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = spectral_filter2d(x, weight)
    torch.testing.assert_close(y, spectral_filter2d(x, weight), rtol=0, atol=0)


def test_ones_are_the_identity():
    x, weight = operands((7, 9))
    weight = torch.stack([torch.ones_like(weight[..., 0]), torch.zeros_like(weight[..., 0])], -1)
    torch.testing.assert_close(spectral_filter2d(x, weight), x)


def test_wrong_weights_are_named():
    x, weight = operands((6, 5))
    with pytest.raises(ValueError, match=r'\(3, 6, 3, 2\).*got \(3, 6, 2, 2\).*resize_filter'):
        spectral_filter2d(x, weight[:, :, :2])
    with pytest.raises(TypeError, match='view_as_real'):
        spectral_filter2d(x, torch.view_as_complex(weight))
    with pytest.raises(ValueError, match='B, C, H, W'):
        spectral_filter2d(x[0], weight)


def dynamic_operands(size, dtype=torch.float32, num_filters=3):
    height, width = size
    x = torch.randn(2, 5, height, width, dtype=dtype)
    basis = torch.randn(num_filters, height, width // 2 + 1, 2, dtype=dtype)
    return x, basis, torch.randn(2, num_filters, 5, dtype=dtype)


def combined_filters(x, basis, coefficients):
    weight = torch.einsum('bnc,nhwr->bchwr', coefficients.double(), basis.double())
    return circular_convolution(x, weight)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(fft, 'SMALL_ELEMENTS', 0)
    monkeypatch.setattr(fft, 'LARGE_ELEMENTS', 0)
    monkeypatch.setattr(fft, 'FEWEST_CHANNELS', 2)  # two channels at a time, then one


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_dynamic_output_and_gradients_against_direct_sum(size, dtype, tolerance):
    operands = dynamic_operands(size, dtype)
    probe = torch.randn(*operands[0].shape, dtype=torch.float64)
    results = []
    for function in (dynamic_filter2d, combined_filters):
        leaves = [t.clone().requires_grad_() for t in operands]
        y = function(*leaves)
        grads = torch.autograd.grad((y.double() * probe).sum(), leaves)
        results.append([t.double() for t in (y, *grads)])
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('size', SIZES)
def test_dynamic_in_chunks_without_gradients(size, small_chunks):
    x, basis, coefficients = dynamic_operands(size, torch.float64)
    before = x.clone()
    with torch.no_grad():
        y = dynamic_filter2d(x, basis, coefficients)
    torch.testing.assert_close(y, combined_filters(x, basis, coefficients))
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_dynamic_gradcheck():
    leaves = [t.requires_grad_() for t in dynamic_operands((3, 4), torch.float64)]
    assert torch.autograd.gradcheck(dynamic_filter2d, leaves)


class AllocatedSpectra(TorchDispatchMode):
    """Counts new tensors as large as a complex filter for every channel of every sample."""

    def __init__(self, least_bytes):
        super().__init__()
        self.least_bytes = least_bytes
        self.storages = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (list, tuple)) else (out,):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage.nbytes() >= self.least_bytes:
                    self.storages[storage.data_ptr()] = storage  # held, so that none is reused
        return out


@pytest.mark.parametrize('training', [False, True])
def test_neither_spectra_nor_per_sample_filters_exist_as_a_whole(training, monkeypatch):
    monkeypatch.setattr(fft, 'SMALL_ELEMENTS', 0)
    monkeypatch.setattr(fft, 'LARGE_ELEMENTS', 0)
    monkeypatch.setattr(fft, 'PIECE_ELEMENTS', 2**14)
    x, basis = torch.randn(2, 64, 32, 62), torch.randn(4, 32, 32, 2)
    coefficients = torch.randn(2, 4, 64)
    for operand in (x, basis, coefficients):
        operand.requires_grad_(training)
    with AllocatedSpectra(64 * 32 * 32 * 8) as allocated, torch.set_grad_enabled(training):
        y = dynamic_filter2d(x, basis, coefficients, 'fft')
        if training:
            y.backward(torch.ones_like(y))
    # Features and result; in training their gradients too.
    assert len(allocated.storages) == (4 if training else 2)


def saved_bytes(function):
    """Bytes of different tensors, parameters left out, that a call keeps for its gradient."""
    saved = {}

    def pack(tensor):
        if not tensor.is_leaf:
            saved[tensor.untyped_storage().data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function()
    return sum(saved.values())


def test_training_keeps_the_features_and_no_spectrum():
    x = torch.randn(2, 8, 12, 10, requires_grad=True)
    weight = torch.randn(8, 12, 6, 2, requires_grad=True)
    features = x * 1  # an activation
    size = saved_bytes(lambda: spectral_filter2d(features, weight, 'fft'))
    assert size == features.nbytes


def test_dynamic_autocast_and_half_precision():
    x, basis, coefficients = dynamic_operands((6, 5))
    exact = dynamic_filter2d(x, basis, coefficients)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(dynamic_filter2d(x, basis, coefficients), exact, rtol=0, atol=0)
        y = dynamic_filter2d(x.bfloat16(), basis, coefficients.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), exact, rtol=5e-2, atol=5e-2)


def test_dynamic_wrong_operands_are_named():
    x, basis, coefficients = dynamic_operands((6, 5))
    with pytest.raises(ValueError, match=r'\(N, 6, 3, 2\), got'):
        dynamic_filter2d(x, basis[:, :5], coefficients)
    with pytest.raises(ValueError, match='must be real'):
        dynamic_filter2d(x, torch.view_as_complex(basis), coefficients)
    with pytest.raises(ValueError, match=r'\(2, 3, 5\), got \(2, 2, 5\)'):
        dynamic_filter2d(x, basis, coefficients[:, :2])
    with pytest.raises(ValueError, match='B, C, H, W'):
        dynamic_filter2d(x[0], basis, coefficients)


@pytest.mark.parametrize('backend', ['fft', 'mixed', 'gemm'])
def test_gradient_of_a_sum(backend):
    """It is one number for all pixels, expanded without memory of its own."""
    x, weight = torch.randn(2, 3, 6, 5, requires_grad=True), torch.randn(3, 6, 3, 2)
    y = spectral_filter2d(x, weight, backend=backend)
    (of_sum,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    (of_ones,) = torch.autograd.grad(y, x, torch.ones(y.shape))
    torch.testing.assert_close(of_sum, of_ones)


def test_expanded_features_get_memory_of_their_own():
    """MKL of torch 2.6 refuses strides of zero."""
    expanded = torch.ones(()).expand(2, 3, 6, 5)
    assert 0 not in without_slow_strides(expanded, torch.float32).stride()
