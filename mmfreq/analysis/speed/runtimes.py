"""What runs a network in place of PyTorch's eager mode: compilers, exported graphs, runtimes."""

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmfreq import export
from mmfreq.int8 import LOSS_OF_NUMBERS, export_int8

__all__ = [
    'LARGEST_ERROR',
    'LARGEST_ERRORS',
    'RUNTIMES',
    'check_runtime',
    'largest_error',
    'prepare',
]

# Variants that only infer, and the packages and the extra that they need.
RUNTIMES = {
    'exported': ((), ''),
    'onnxruntime': (('onnx', 'onnxscript', 'onnxruntime'), 'onnx'),
    'openvino': (('onnx', 'onnxscript', 'openvino'), 'openvino'),
    'int8': (('onnx', 'onnxscript', 'onnxruntime'), 'onnx'),
}
# How far outputs may be from eager's, relative by their norms: a fast wrong answer is none.
LARGEST_ERRORS = {'bf16': 0.1, 'amp': 0.1, 'int8': LOSS_OF_NUMBERS}
LARGEST_ERROR = 1e-4

Run = Callable[[Tensor], tuple[Tensor, ...]]


def check_runtime(variant: str) -> None:
    """Raise an ``ImportError`` that names the extra if a package of a variant is missing."""
    packages, extra = RUNTIMES.get(variant, ((), ''))
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(
            f'--variants {variant} needs {", ".join(missing)}; '
            f"install the extra: pip install 'mmfreq[{extra}]'"
        )


def prepare(network: nn.Module, images: Tensor, variant: str) -> tuple[nn.Module, Run]:
    """Let something else run a network, on a CPU with as many threads as PyTorch.

    Args:
        network (nn.Module): A backbone, or a model that can be exported.
        images (Tensor): Images of the batch and size to run, shape ``(B, C, H, W)``.
        variant (str): One of :data:`RUNTIMES`.

    Returns:
        tuple[nn.Module, Callable]: The part of the network that is run, and what runs it.

    Raises:
        ValueError: If a layer cannot be exported; the message names it.
    """
    part: export.Exportable
    if hasattr(network, 'data_preprocessor'):
        part = export.part_to_export(network)
    else:
        with torch.no_grad():
            part = export.BackboneOnly(network, len(network(images)))
    part.eval()
    if variant == 'exported':
        with torch.no_grad():
            return part, torch.export.export(part, (images,)).module()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'network.onnx'
        write = export_int8 if variant == 'int8' else export.export_onnx
        write(part, images, path)
        run = _with_openvino if variant == 'openvino' else _with_onnxruntime
        return part, run(path)


def _with_onnxruntime(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])

    def run(images: Tensor) -> tuple[Tensor, ...]:
        outputs = session.run(None, {'images': images.numpy()})
        return tuple(torch.from_numpy(output) for output in outputs)

    return run


def _with_openvino(path: Path) -> Run:
    import openvino

    settings = {'INFERENCE_NUM_THREADS': torch.get_num_threads(), 'INFERENCE_PRECISION_HINT': 'f32'}
    request = openvino.Core().compile_model(str(path), 'CPU', settings).create_infer_request()

    def run(images: Tensor) -> tuple[Tensor, ...]:
        outputs = request.infer([images.numpy()], share_inputs=True)
        return tuple(torch.from_numpy(output) for output in outputs.values())

    return run


def largest_error(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    """Largest distance of an output, relative by norms; of labels, the share that differs."""
    errors = []
    for ours, theirs in zip(found, expected, strict=True):
        if theirs.is_floating_point():
            exact = theirs.double()
            errors.append(float((ours.double() - exact).norm() / exact.norm().clamp_min(1e-30)))
        else:
            errors.append(float((ours != theirs).double().mean()))
    return float(np.max(errors))  # NaN if any is
