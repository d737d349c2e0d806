"""Linear layers of an ONNX file in integers of 8 bits; everything else stays in float32.

Weights are rounded once, one scale per output channel. Inputs are rounded while the network runs,
one scale for each (dynamic quantisation), so that no images are needed to prepare a file. Spectral
operations, convolutions, norms and activations are not touched.
"""

import logging
from pathlib import Path

from mmfreq.export import require

__all__ = [
    'LOSSES',
    'LOSS_OF_NUMBERS',
    'NO_LINEAR_LAYER',
    'NoLinearLayerError',
    'quantize_linear_layers',
]

# What a file may lose at most: a share of labels, or else of an output's largest number.
LOSSES = {'labels': 0.02}
LOSS_OF_NUMBERS = 0.1
NO_LINEAR_LAYER = 'there is no linear layer to be written in 8 bits'
HIERARCHY = 'pkg.torch.onnx.class_hierarchy'  # where an exporter writes which call a node is from


class NoLinearLayerError(ValueError):
    """A network has nothing that is to be written in integers."""


def quantize_linear_layers(path: str | Path, out: str | Path) -> int:
    """Write a file with linear layers in integers.

    Args:
        path (str | Path): From :func:`mmfreq.export.export_onnx`.
        out (str | Path): The file to write.

    Returns:
        int: How many layers there are.

    Raises:
        ImportError: If onnxruntime is missing; the message names the extra to install.
        NoLinearLayerError: If the network has no linear layer.
    """
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
        raise NoLinearLayerError(NO_LINEAR_LAYER)
    del model.graph.value_info[:]  # shapes that the quantiser finds anew, of transposed weights too
    logging.disable(logging.WARNING)  # it advises steps that hide layers from it
    try:
        quantize_dynamic(
            model,
            str(out),
            op_types_to_quantize=['Gemm', 'MatMul'],
            nodes_to_quantize=layers,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
    finally:
        logging.disable(logging.NOTSET)
    quantized = onnx.load(str(out))
    quantized.metadata_props.extend(model.metadata_props)
    onnx.save(quantized, str(out))
    return len(layers)
