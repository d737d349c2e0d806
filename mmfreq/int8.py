"""Linear layers of an ONNX file in integers of 8 bits; everything else stays in float32.

Weights are rounded once, one scale per output channel. Inputs are rounded while the network runs,
one scale for each (dynamic quantisation), so that no images are needed to prepare a file. Spectral
operations, convolutions, norms and activations are not touched.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from mmfreq.export import Exportable, export_onnx, require

__all__ = [
    'LOSSES',
    'LOSS_OF_NUMBERS',
    'NO_LINEAR_LAYER',
    'NoLinearLayerError',
    'export_int8',
]

# What a file may lose at most: a share of labels, or else of an output's largest number.
LOSSES = {'labels': 0.02}
LOSS_OF_NUMBERS = 0.1
NO_LINEAR_LAYER = 'there is no linear layer to be written in 8 bits'
HIERARCHY = 'pkg.torch.onnx.class_hierarchy'  # where an exporter writes which call a node is from


class NoLinearLayerError(ValueError):
    """A network has nothing that is to be written in integers."""


def export_int8(
    network: Exportable,
    images: Tensor,
    path: str | Path,
    dynamic_batch: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write a network as an ONNX file with linear layers in integers.

    Args:
        network (Exportable): As in :func:`mmfreq.export.export_onnx`, like all that follow.
        images (Tensor): As there.
        path (str | Path): As there.
        dynamic_batch (bool): As there. Defaults to False.
        metadata (Mapping[str, str], optional): As there. Defaults to None.

    Returns:
        int: How many layers there are.

    Raises:
        ImportError: If a package is missing; the message names the extra to install.
        NoLinearLayerError: If the network has no linear layer; no file is written.
        ValueError: If a layer cannot be exported; the message names it.
    """
    with TemporaryDirectory() as folder:
        precise = Path(folder) / 'float32.onnx'
        export_onnx(network, images, precise, dynamic_batch, metadata)
        return _quantize(precise, path)


def _quantize(path: Path, out: str | Path) -> int:
    onnx = require('onnx')
    require('onnxruntime')
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(str(path))
    constants = {constant.name for constant in model.graph.initializer}
    # Other products with constants are transforms: rounding them would change all frequencies.
    layers = [
        node.name
        for node in model.graph.node
        if node.op_type in ('Gemm', 'MatMul')
        and node.input[1] in constants
        and any(p.key == HIERARCHY and 'aten.linear' in p.value for p in node.metadata_props)
    ]
    if not layers:
        raise NoLinearLayerError(f'{NO_LINEAR_LAYER}; leave --int8 away')
    del model.graph.value_info[:]  # shapes that the quantiser finds anew, of transposed weights too
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it advises steps that hide layers from it
    try:
        quantize_dynamic(
            model,
            str(out),
            op_types_to_quantize=['Gemm', 'MatMul'],
            # It makes products of layers with a Gemm first, which have other names.
            nodes_to_quantize=[*layers, *(f'{name}_MatMul' for name in layers)],
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
    finally:
        logging.disable(disabled)
    quantized = onnx.load(str(out))
    written = sum(node.op_type == 'MatMulInteger' for node in quantized.graph.node)
    if written != len(layers):
        raise ValueError(
            f'onnxruntime wrote {written} of {len(layers)} linear layers in 8 bits; install the '
            "version of the extra: pip install 'mmfreq[onnx]'"
        )
    quantized.metadata_props.extend(model.metadata_props)
    onnx.save(quantized, str(out))
    return len(layers)
