"""Writing networks as ONNX files that need nothing but standard operators, and checking them.

Spectral operations become products with constant matrices (``backend='gemm'``), so a file is for
one image size. Images go in normalised, as in training.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfreq.models.layers import SpectralModule, set_backend
from mmfreq.models.whole_network import WholeNetwork

__all__ = [
    'BackboneOnly',
    'Classifier',
    'Exportable',
    'RawHeads',
    'Segmentor',
    'compare',
    'export_onnx',
    'part_to_export',
    'require',
]

OPSET = 20  # the first with an operator for GELU, which onnxruntime does not find in its parts
EXTRA = "install the extra: pip install 'mmfreq[onnx]'"
MAX_BATCH = 1024


class Exportable(nn.Module):
    """Network whose outputs are a tuple of tensors with names.

    Attributes:
        names (tuple[str, ...]): Names of the outputs.
    """

    names: tuple[str, ...] = ()


class Segmentor(Exportable):
    """Logits at the size of the image, and the label of each pixel.

    Args:
        model (nn.Module): Segmentor of mmseg with one decode head.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.network = WholeNetwork(model)
        self.align_corners: Any = getattr(model.decode_head, 'align_corners', False)
        self.names = ('logits', 'labels')

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images ``(B, C, H, W)`` to logits ``(B, classes, H, W)`` and labels ``(B, H, W)``."""
        (logits,) = self.network(images)
        size = (int(images.shape[2]), int(images.shape[3]))
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=self.align_corners)
        return logits, logits.argmax(1)


class Classifier(Exportable):
    """Logits of a classifier.

    Args:
        model (nn.Module): Classifier of mmpretrain with one head.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.network = WholeNetwork(model)
        self.names = ('logits',)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Map images ``(B, C, H, W)`` to logits ``(B, classes)``."""
        (logits,) = self.network(images)
        if not isinstance(logits, Tensor):
            raise ValueError(f'layer head gives a {type(logits).__name__}, only a tensor works')
        return (logits,)


class RawHeads(Exportable):
    """Scores and boxes of a one-stage detector, before anything is decoded or suppressed.

    Args:
        model (nn.Module): Detector of mmdet with a ``bbox_head``.
        num_levels (int): Feature maps that the head works on.
    """

    def __init__(self, model: nn.Module, num_levels: int) -> None:
        super().__init__()
        self.network = WholeNetwork(model)
        self.names = tuple(f'{kind}_{i}' for kind in ('scores', 'boxes') for i in range(num_levels))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map images ``(B, C, H, W)`` to the scores of each level, then the boxes of each."""
        (outputs,) = self.network(images)
        if len(outputs) != 2:
            raise ValueError(
                f'layer bbox_head ({type(self.network.bbox_head).__name__}) gives {len(outputs)} '
                'kinds of maps, only scores and boxes work; export its backbone'
            )
        scores, boxes = outputs
        return (*scores, *boxes)


class BackboneOnly(Exportable):
    """Feature maps of a backbone.

    Args:
        backbone (nn.Module): Any backbone.
        num_maps (int): How many maps it returns.
    """

    def __init__(self, backbone: nn.Module, num_maps: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.names = tuple(f'features_{i}' for i in range(num_maps))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map images ``(B, C, H, W)`` to feature maps, finest first."""
        return tuple(self.backbone(images))


def part_to_export(model: nn.Module) -> Exportable:
    """What of a model can be exported: all, or of a one-stage detector what its head gives.

    Args:
        model (nn.Module): The model, with a backbone.

    Returns:
        Exportable: The part.

    Raises:
        ValueError: If the model has a part that depends on what an image shows; it is named.
    """
    for name in ('roi_head', 'rpn_head'):
        head = getattr(model, name, None)
        if head is not None:
            raise ValueError(
                f'{type(model).__name__} cannot be exported: layer {name} ({type(head).__name__}) '
                'works on regions, whose number depends on the image; export its backbone'
            )
    if hasattr(model, 'decode_head'):
        return Segmentor(model)
    if hasattr(model, 'head'):
        return Classifier(model)
    head = getattr(model, 'bbox_head', None)
    if head is None:
        raise ValueError(f'{type(model).__name__} has no decode_head, head or bbox_head')
    levels = getattr(head, 'prior_generator', None)
    if levels is None:
        raise ValueError(f'layer bbox_head ({type(head).__name__}) has no anchors')
    return RawHeads(model, levels.num_levels)


def export_onnx(
    network: Exportable,
    images: Tensor,
    path: str | Path,
    dynamic_batch: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network as an ONNX file.

    Args:
        network (Exportable): From :func:`part_to_export`, or :class:`BackboneOnly`. It is put into
            evaluation mode.
        images (Tensor): Example, shape ``(B, C, H, W)``. The file takes images of this size.
        path (str | Path): The file.
        dynamic_batch (bool): Whether the file takes any number of images, otherwise as many as the
            example has. Defaults to False.
        metadata (Mapping[str, str], optional): Texts that the file holds beside its graph.
            Defaults to None: none.

    Raises:
        ImportError: If a package is missing; the message names the extra to install.
        ValueError: If a layer cannot be exported; the message names it.
    """
    onnx = require('onnx')
    require('onnxscript')
    network.eval()
    if dynamic_batch:
        images = torch.cat([images, images])[:2]  # one image would be taken for a constant
    shapes = ({0: torch.export.Dim('batch', max=MAX_BATCH)} if dynamic_batch else None,)
    with (
        torch.no_grad(),
        _frozen(network),
        _by_products(network),
        _naming_layers(network),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        program = torch.export.export(network, (images,), dynamic_shapes=shapes, strict=False)
        _refuse_complex_numbers(program)
        exported = _translate(program, images, network.names)
    exported.model.metadata_props.update(metadata or {})
    exported.save(str(path))
    model = onnx.load(str(path), load_external_data=False)
    unusual = {f'{node.domain}.{node.op_type}' for node in model.graph.node if node.domain}
    if unusual or any(node.op_type == 'DFT' for node in model.graph.node):
        raise ValueError(f'{path} needs operators that are not standard: {sorted(unusual)} or DFT')


def compare(network: Exportable, path: str | Path, images: Sequence[Tensor]) -> dict[str, float]:
    """Run an ONNX file with onnxruntime beside the network that it was made of.

    Args:
        network (Exportable): As given to :func:`export_onnx`.
        path (str | Path): The file.
        images (Sequence[Tensor]): Batches of the size that the file takes.

    Returns:
        dict[str, float]: For each output with numbers the largest difference relative to the
        largest number, for each output with labels the share of labels that differ.

    Raises:
        ImportError: If onnxruntime is missing; the message names the extra to install.
    """
    session = require('onnxruntime').InferenceSession(str(path), providers=['CPUExecutionProvider'])
    worst = dict.fromkeys(network.names, 0.0)
    for batch in images:
        with torch.no_grad():
            expected = network(batch)
        found = session.run(None, {'images': batch.numpy()})
        for name, ours, theirs in zip(network.names, expected, found, strict=True):
            worst[name] = float(np.maximum(worst[name], _difference(ours.numpy(), theirs)))
    return worst


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """No parameter needs a gradient: else PyTorch cannot decompose a graph for any batch size."""
    trained = [param for param in network.parameters() if param.requires_grad]
    try:
        for param in trained:
            param.requires_grad_(False)
        yield
    finally:
        for param in trained:
            param.requires_grad_(True)


@contextmanager
def _by_products(network: nn.Module) -> Iterator[None]:
    """Spectral operations use products with matrices, whatever was chosen for them."""
    modules = [item for item in network.modules() if isinstance(item, SpectralModule)]
    chosen = [module.backend for module in modules]
    try:
        set_backend(network, 'gemm')
        yield
    finally:
        for module, backend in zip(modules, chosen, strict=True):
            module.backend = backend


@contextmanager
def _naming_layers(network: nn.Module) -> Iterator[None]:
    """Let errors inside of the block name the layer of a network that was running.

    Args:
        network (nn.Module): Any network.

    Yields:
        None: While the layers are watched.

    Raises:
        ValueError: In place of any exception while a layer runs.
    """
    running: list[str] = []

    def enter(name: str) -> Callable[..., None]:
        return lambda *_: running.append(name)

    def leave(*_: Any) -> None:
        running.pop()

    handles = [
        handle
        for name, module in network.named_modules()
        for handle in (
            module.register_forward_pre_hook(enter(name)),
            module.register_forward_hook(leave),
        )
    ]
    try:
        yield
    except Exception as error:
        if not running:
            raise
        name = running[-1]
        kind = type(network.get_submodule(name)).__name__
        reason = (str(error) or type(error).__name__).splitlines()[0]
        layer = f'layer {name} ({kind})' if name else kind
        raise ValueError(f'{layer} cannot be exported: {reason}') from error
    finally:
        for handle in handles:
            handle.remove()


def _translate(
    program: torch.export.ExportedProgram, images: Tensor, names: Sequence[str]
) -> torch.onnx.ONNXProgram:
    try:
        exported = torch.onnx.export(
            program,
            (images,),
            dynamo=True,
            opset_version=OPSET,
            input_names=['images'],
            output_names=list(names),
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        found = re.search(r'node %(\w+)', str(error))
        for node in program.graph.nodes:
            if found is not None and node.name == found[1]:
                raise ValueError(
                    f'{_layer_of(node)} cannot be exported: ONNX has nothing for {node.target}'
                ) from error
        raise ValueError(
            f'the network cannot be exported: the exporter of torch {torch.__version__} cannot '
            f'translate it, that of torch 2.11 may: {error}'
        ) from error
    assert exported is not None
    return exported


def _layer_of(node: torch.fx.Node) -> str:
    """The layer that a node of a graph comes from."""
    stack = list(node.meta.get('nn_module_stack', {}).values())
    name, kind = stack[-1] if stack else (node.name, 'a function')
    return f'layer {name} ({kind if isinstance(kind, str) else kind.__name__})'


def _refuse_complex_numbers(program: torch.export.ExportedProgram) -> None:
    for node in program.graph.nodes:
        value = node.meta.get('val')
        if isinstance(value, Tensor) and value.is_complex():
            raise ValueError(
                f'{_layer_of(node)} cannot be exported: {node.target} has complex numbers, '
                'which ONNX does not have'
            )


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.dtype.kind != 'f':
        return float((ours != theirs).mean())
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), np.finfo(ours.dtype).tiny))


def require(package: str) -> Any:
    """Import a package of the extra ``onnx``, or raise an ``ImportError`` that names the extra."""
    try:
        return __import__(package)
    except ImportError as error:
        raise ImportError(f'exporting needs {package}; {EXTRA}') from error
