"""What a benchmark times: a forward pass or a training step of a network on made-up images."""

import importlib.util
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from mmfreq.analysis.config_facts import classes_of
from mmfreq.analysis.cost.flops import count_params
from mmfreq.analysis.speed import plain
from mmfreq.analysis.speed.runtimes import (
    LARGEST_ERROR,
    LARGEST_ERRORS,
    RUNTIMES,
    largest_error,
    prepare,
)
from mmfreq.utils.config_files import is_config, read_model_config
from mmfreq.zoo import (
    backbone_config,
    build_backbone,
    build_model,
    image_channels,
    model_settings,
    set_image_size,
)

__all__ = ['MODES', 'VARIANTS', 'Workload', 'data_samples', 'load_source', 'source_of']

MODES = ('inference', 'training')
VARIANTS = ('eager', 'compiled', 'amp', 'bf16', 'channels-last', *RUNTIMES)


class Workload:
    """A network, images, and the step to be timed.

    A backbone's inference is its forward pass, that of a whole model ends with its predictions. A
    training step is forward, loss, backward and AdamW; a backbone's loss is the mean square of its
    outputs. Filters are stored for the size of the images. Weights are random, so detectors find
    almost nothing: their post-processing takes less than in practice.

    Args:
        model (str): Name of a backbone, see :func:`mmfreq.zoo.backbone_names`, ``plain:NAME`` for
            the same with plain layers, path of a config, or ``FILE.py:NAME`` for what the file's
            function ``build`` returns for a name and an image size.
        mode (str): ``'inference'`` or ``'training'``.
        variant (str): ``'eager'`` or names from :data:`VARIANTS` joined with ``+``.
        device (str): Device, for example ``'cpu'`` or ``'cuda:0'``.
        shape (tuple[int, int]): Image size ``(H, W)`` in pixels.
        batch_size (int): Images per step.

    Weights and images are the same in each process.

    Attributes:
        params (int): Number of parameters.
        size (int): Bytes of the network and the images.
    """

    def __init__(
        self,
        model: str,
        mode: str,
        variant: str,
        device: str,
        shape: tuple[int, int],
        batch_size: int,
    ) -> None:
        self.device = torch.device(device)
        self.choices = set(variant.split('+'))
        torch.manual_seed(0)
        network, channels, samples = _build(model, shape, batch_size)
        self.samples = samples and [sample.to(self.device) for sample in samples]
        self.params = count_params(network)
        layout = torch.contiguous_format
        if 'channels-last' in self.choices:
            layout = torch.channels_last
        self.network = network.to(self.device).to(memory_format=layout)  # type: ignore[call-overload]
        self.network.train(mode == 'training')
        self.images = torch.randn(batch_size, channels, *shape).to(
            self.device, memory_format=layout
        )
        tensors = [*network.parameters(), *network.buffers(), self.images]
        self.size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        self.forward: Callable[..., Any] = network
        if 'compiled' in self.choices:
            self.forward = torch.compile(network)
        runtimes = self.choices & set(RUNTIMES)
        if runtimes:
            self.samples = None
            self.network, self.forward = prepare(network, self.images, *runtimes)
        trained = [param for param in network.parameters() if param.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-5) if mode == 'training' else None
        self.is_eager = variant == 'eager'

    def compare(self) -> float | None:
        """Compare what a backbone's inference returns with eager mode.

        Returns:
            float | None: The error, see :func:`mmfreq.analysis.speed.runtimes.largest_error`; None
            where there is nothing to compare with.

        Raises:
            ValueError: If it is larger than
                :data:`mmfreq.analysis.speed.runtimes.LARGEST_ERRORS` allows.
        """
        if self.optimizer is not None or self.samples is not None or self.is_eager:
            return None
        with torch.inference_mode():
            expected = self.network(self.images)
            with self._autocast():
                found = self.forward(self.images)
        error = largest_error(found, expected)
        allowed = max(LARGEST_ERRORS.get(choice, LARGEST_ERROR) for choice in self.choices)
        if not error <= allowed:  # NaN, too
            raise ValueError(f'outputs are {error:.1e} from eager mode, {allowed:.0e} at most')
        return error

    def step(self) -> None:
        """Do the work once; on a GPU it may still run when this returns."""
        if self.optimizer is None:
            with torch.inference_mode(), self._autocast():
                self._call('predict')
            return
        self.optimizer.zero_grad()
        with self._autocast():
            output = self._call('loss')
            if self.samples is None:
                loss = torch.stack([feature.float().square().mean() for feature in output]).sum()
            else:
                loss, _ = self.network.parse_losses(output)
        loss.backward()
        self.optimizer.step()

    def _call(self, mode: str) -> Any:
        if self.samples is None:
            return self.forward(self.images)
        return self.forward(self.images, self.samples, mode=mode)

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self.choices & {'amp', 'bf16'}:
            return nullcontext()
        is_half = self.device.type == 'cuda' and 'bf16' not in self.choices
        dtype = torch.float16 if is_half else torch.bfloat16
        return torch.autocast(self.device.type, dtype)


def data_samples(
    scope: str, batch_size: int, shape: tuple[int, int], num_classes: int = 80
) -> list[Any]:
    """Annotations of made-up images.

    Args:
        scope (str): ``'mmseg'``, ``'mmdet'`` or ``'mmpretrain'``.
        batch_size (int): Number of images.
        shape (tuple[int, int]): Image size ``(H, W)`` in pixels.
        num_classes (int): Number of classes. Defaults to 80.

    Returns:
        list: One data sample per image: a label per pixel, boxes and masks, or a class.
    """
    sizes = dict(ori_shape=shape, img_shape=shape, pad_shape=shape, batch_input_shape=shape)
    if scope == 'mmdet':
        from mmdet.testing import demo_mm_inputs

        shapes = [[3, *shape]] * batch_size
        made_up = demo_mm_inputs(batch_size, shapes, num_classes=num_classes, with_mask=True)
        for sample in made_up['data_samples']:
            sample.set_metainfo(sizes)
        return made_up['data_samples']
    if scope == 'mmpretrain':
        from mmpretrain.structures import DataSample

        return [DataSample(metainfo=sizes).set_gt_label(i % num_classes) for i in range(batch_size)]
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    maps = torch.randint(0, num_classes, (batch_size, 1, *shape))
    labels = [PixelData(data=label) for label in maps]
    return [SegDataSample(gt_sem_seg=label, metainfo=sizes) for label in labels]


def source_of(model: str) -> tuple[str, str]:
    """What builds a model that is not built by its name or config alone.

    Args:
        model (str): See :class:`Workload`.

    Returns:
        tuple[str, str]: ``'plain'`` or the path of a Python file, and the name for it; ``''`` and
        the model for backbones and configs, those of a library (``mmdet::...``) among them.
    """
    found = re.fullmatch(r'(plain|.+\.py):([^:]+)', model)
    return (found[1], found[2]) if found else ('', model)


def load_source(path: str | Path) -> ModuleType:
    """Import a Python file that belongs to no package.

    Args:
        path (str | Path): The file. It is code and trusted.

    Returns:
        ModuleType: The module.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no file {path}')
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _build(
    model: str, shape: tuple[int, int], batch_size: int
) -> tuple[nn.Module, int, list[Any] | None]:
    """Network, channels of its images, and annotations of whole models."""
    source, name = source_of(model)
    if source:
        build = plain.build if source == 'plain' else load_source(source).build
        return build(name, shape), 3, None
    if not is_config(model):
        settings = dict(backbone_config(model))
        set_image_size(settings, shape)
        return build_backbone(settings), 3, None
    config = read_model_config(model)
    set_image_size(model_settings(config)['backbone'], shape)
    network = build_model(config)
    samples = data_samples(config.default_scope, batch_size, shape, classes_of(config))
    return network, image_channels(config), samples
