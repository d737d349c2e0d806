"""FDConv in any network: layers of a host are replaced by name, and compute what they computed."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmcv.cnn.bricks import wrappers
from mmengine.logging import print_log
from torch import nn

from mmfreq.models.dynamic_kernel import DynamicKernel
from mmfreq.models.fdconv import FDConv
from mmfreq.models.fdlinear import FDLinear
from mmfreq.models.pointwise import Linear
from mmfreq.registry import MODELS
from mmfreq.utils.names import enumerate_names

__all__ = ['DEFAULT_LAYERS', 'Layers', 'fdconv_backbone', 'make_dynamic', 'use_fdconv']

Predicate = Callable[[str, nn.Module], bool]
Layers = str | Sequence[str] | Predicate

# Names of layers that are targets by default. The released models have the first kind only; of the
# others the paper says that MLPs are meant, and not which: its exact sets are not public.
DEFAULT_LAYERS = {
    'residual branches of ResNets': r'(layer\d+|branches\.\d+)\.\d+\.conv(s\.)?\d$',
    'pointwise pairs of ConvNeXt': r'(^|\.)pointwise_conv[12]$',
    'MLPs of Swin, MiT, PVT, ViT': r'(^|\.)(ffn\.layers\.\d(\.0)?|mlp\.fc[12])$',
}
# Classes of layers that are replaced, and no others of their kind: weights of those are scaled,
# padded or read by something else.
CONVS, LINEARS = (nn.Conv2d, wrappers.Conv2d), (nn.Linear, wrappers.Linear, Linear)
OF_CONVS = ('use_fdconv_if_k_in', 'use_fbm_if_k_in', 'fbm_cfg', 'band_masks')


def use_fdconv(
    model: nn.Module, layers: Layers | None = None, kernel_num: int | None = 64, **options: Any
) -> nn.Module:
    """Replace convolutions and linear layers of a network by FDConv and FDLinear, in place.

    The network computes what it computed, in training too, until it is trained; call this once its
    weights are loaded or before, its ``state_dict`` still loads. Frozen layers stay frozen. What is
    grouped, thin, or has another kernel than 1x1 and 3x3 stays plain.

    Args:
        model (nn.Module): Any network.
        layers (str | Sequence[str] | Callable, optional): Regular expressions, found anywhere in
            the dotted names of layers, or a function of name and module. Defaults to None: those
            of :data:`DEFAULT_LAYERS`.
        kernel_num (int, optional): Groups of coefficients, see :class:`FDConv`. Defaults to 64.
        **options: Other options of :class:`FDConv` and :class:`FDLinear`.

    Returns:
        nn.Module: ``model``.

    Raises:
        ValueError: If ``layers`` or one of its expressions finds nothing that can be replaced.
    """
    options = dict(options, kernel_num=kernel_num)
    candidates = dict(_candidates(model))
    chosen: dict[str, nn.Module] = {}
    left: Counter[str] = Counter()
    for pattern, matches in _predicates(layers):
        found = {name: layer for name, layer in candidates.items() if matches(name, layer)}
        reasons = {name: _why_plain(layer, options) for name, layer in found.items()}
        fitting = {name: layer for name, layer in found.items() if reasons[name] is None}
        if not fitting and layers is not None:
            raise ValueError(_nothing_found(model, pattern, found, options))
        chosen |= fitting
        left.update(reason for reason in reasons.values() if reason is not None)
    if not chosen:
        raise ValueError(_nothing_found(model, None, {}, options))
    before = sum(param.numel() for param in model.parameters())
    # Once for every layer, even if several modules share it.
    new = {id(layer): make_dynamic(layer, **options) for layer in chosen.values()}
    _replace(model, new)
    after = sum(param.numel() for param in model.parameters())
    lines = [
        f'FDConv: {len(new)} layers of {type(model).__name__} are dynamic, which adds '
        f'{after - before:,} parameters to {before:,}: {enumerate_names(list(chosen))}'
    ]
    lines += [f'  {count} named by layers stay plain: {reason}' for reason, count in left.items()]
    print_log('\n'.join(lines), 'current')
    return model


@MODELS.register_module(name='FDConvBackbone')
def fdconv_backbone(
    backbone: dict[str, Any],
    layers: Layers | None = None,
    kernel_num: int | None = 64,
    init_cfg: dict | list[dict] | None = None,
    **options: Any,
) -> nn.Module:
    """A backbone of any library with FDConv, as ``type='mmfreq.FDConvBackbone'`` in a config.

    What it returns is the host itself, so that names of tensors, frozen stages, layer-wise decay
    and checkpointing are the host's. Its ``init_weights`` initialises or loads the host as it is
    without FDConv.

    Args:
        backbone (dict): Config of the host.
        layers (str | Sequence[str] | Callable, optional): See :func:`use_fdconv`.
        kernel_num (int, optional): Likewise. Defaults to 64.
        init_cfg (dict | list[dict], optional): Takes the place of that of ``backbone``. Defaults to
            None: that of ``backbone``.
        **options: See :func:`use_fdconv`.

    Returns:
        nn.Module: The host.

    Raises:
        ValueError: As in :func:`use_fdconv`.
    """
    if init_cfg is not None:
        backbone = dict(backbone, init_cfg=init_cfg)
    host = use_fdconv(MODELS.build(backbone), layers, kernel_num, **options)
    host.init_weights = partial(_init_weights, host)  # type: ignore[assignment]
    return host


def make_dynamic(layer: nn.Module, **options: Any) -> nn.Module:
    """A layer with FDConv that computes the same as a plain one.

    Args:
        layer (nn.Module): A convolution or linear layer.
        **options: Options of :class:`FDConv` and :class:`FDLinear`.

    Returns:
        nn.Module: A new layer, plain itself where those stay plain.
    """
    has_bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        options = {name: option for name, option in options.items() if name not in OF_CONVS}
        new: nn.Module = FDLinear(layer.in_features, layer.out_features, has_bias, **options)
    else:
        assert isinstance(layer, nn.Conv2d)
        new = FDConv(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            has_bias,
            layer.padding_mode,
            **options,
        )
    new.to(layer.weight.device, layer.weight.dtype)
    new.load_state_dict(layer.state_dict())
    for param in new.parameters():
        param.requires_grad_(layer.weight.requires_grad)
    return new.train(layer.training)


def _candidates(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Convolutions and linear layers by name, but those within layers of FDConv."""
    within: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if isinstance(module, DynamicKernel):
            within += (f'{name}.',)
        elif name and isinstance(module, nn.Conv2d | nn.Linear) and not name.startswith(within):
            yield name, module


def _predicates(layers: Layers | None) -> list[tuple[str, Predicate]]:
    """For each expression, what it is called in messages, and a function."""
    if callable(layers):
        return [(getattr(layers, '__name__', 'the function'), layers)]
    patterns = list(DEFAULT_LAYERS.values()) if layers is None else layers
    if isinstance(patterns, str):
        patterns = [patterns]
    return [(repr(pattern), partial(_has_name, re.compile(pattern))) for pattern in patterns]


def _has_name(pattern: re.Pattern[str], name: str, _: nn.Module) -> bool:
    return pattern.search(name) is not None


def _why_plain(layer: nn.Module, options: dict[str, Any]) -> str | None:
    """Why a layer cannot be replaced; None if it can."""
    if type(layer) not in (*CONVS, *LINEARS):
        return f'{type(layer).__name__} computes something else'
    least = options.get('use_fdconv_if_c_gt', 16)
    if isinstance(layer, nn.Linear):
        is_thin = min(layer.in_features, layer.out_features) <= least
    else:
        assert isinstance(layer, nn.Conv2d)
        sides = options.get('use_fdconv_if_k_in', (1, 3))
        height, width = layer.kernel_size
        if layer.groups > 1:
            return 'grouped, and FDConv composes dense kernels'
        if height != width or height not in sides:
            known = ' and '.join(f'{side}x{side}' for side in sides)
            return f'a {height}x{width} kernel, not {known}'
        is_thin = min(layer.in_channels, layer.out_channels) <= least
    return f'at most {least} channels (use_fdconv_if_c_gt)' if is_thin else None


def _nothing_found(
    model: nn.Module, pattern: str | None, found: dict[str, nn.Module], options: dict[str, Any]
) -> str:
    """Message for a choice of layers without any that can be replaced."""
    host = type(model).__name__
    if found:
        reasons = Counter(_why_plain(layer, options) for layer in found.values())
        why = '; '.join(f'{count} x {reason}' for reason, count in reasons.items())
        problem = f'layers={pattern} finds {enumerate_names(list(found))} of {host} only ({why})'
    elif pattern is None:
        problem = f'{host} has no layers that are replaced by default'
    else:
        problem = f'layers={pattern} finds no convolution or linear layer of {host}'
    fitting = [n for n, layer in _candidates(model) if _why_plain(layer, options) is None]
    if not fitting:
        return f'{problem}, and {host} has none that FDConv can replace; leave FDConv out'
    return f'{problem}; set layers to an expression for some of {enumerate_names(fitting)}'


def _replace(model: nn.Module, new: dict[int, nn.Module]) -> None:
    """Put modules in place of others, which are given by their ``id``."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if id(child) in new:
                parent.add_module(name, new[id(child)])


def _init_weights(host: nn.Module) -> None:
    """Initialise a host as if it had plain layers, with whatever its library does for that."""
    with _plain_layers(host):
        type(host).init_weights(host)  # type: ignore[attr-defined]


@contextmanager
def _plain_layers(host: nn.Module) -> Iterator[None]:
    """A host with plain layers in place of those of FDConv, which take over their weights then."""
    dynamic = [layer for layer in host.modules() if isinstance(layer, DynamicKernel)]
    plain = [_make_plain(layer) for layer in dynamic]
    # MMEngine's book on who initialised which parameter, while a model around the host runs.
    book: dict[nn.Parameter, dict] | None = getattr(host, '_params_init_info', None)
    if book is not None:
        for param in (param for layer in plain for param in layer.parameters()):
            book[param] = dict(init_info='', tmp_mean_value=param.data.mean().cpu())
    _replace(host, {id(old): new for old, new in zip(dynamic, plain, strict=True)})
    try:
        yield
    finally:
        _replace(host, {id(new): old for old, new in zip(dynamic, plain, strict=True)})
    for layer, loaded in zip(dynamic, plain, strict=True):
        layer.load_state_dict(loaded.state_dict())
        if book is not None:
            for name, param in loaded.named_parameters():
                book[layer.get_parameter(_OWN_NAMES[name])] = book.pop(param)


_OWN_NAMES = {'weight': 'spectrum', 'bias': 'bias'}


def _make_plain(layer: DynamicKernel) -> nn.Linear | nn.Conv2d:
    """The plain layer that a dynamic one computes the same as until it is trained."""
    out_channels, in_channels, *_ = layer.kernel_shape
    has_bias = layer.bias is not None
    plain: nn.Linear | nn.Conv2d
    if isinstance(layer, FDConv):
        names = ('kernel_size', 'stride', 'padding', 'dilation', 'padding_mode')
        sizes: dict[str, Any] = {name: getattr(layer, name) for name in names}
        plain = nn.Conv2d(in_channels, out_channels, bias=has_bias, **sizes)
    else:
        plain = nn.Linear(in_channels, out_channels, has_bias)
    plain.to(layer.spectrum.device, layer.spectrum.dtype)
    with torch.no_grad():
        plain.weight.copy_(layer.to_weight().reshape(plain.weight.shape))
        if plain.bias is not None and layer.bias is not None:
            plain.bias.copy_(layer.bias)
    return plain
