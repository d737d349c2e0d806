"""Layer-wise learning-rate decay for detectors, segmentors and classifiers."""

import inspect
import logging
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIMIZERS
from torch import nn

from mmfreq.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmfreq.utils.config_tree import type_name
from mmfreq.utils.errors import ConfigError
from mmfreq.utils.names import enumerate_names, nearest

__all__ = ['LayerDecayOptimWrapperConstructor', 'check_paramwise']

DEFAULT = 'DefaultOptimWrapperConstructor'
OWN_OPTIONS = ('layer_decay_rate', 'decay_type', 'num_layers')
OPTIONS = (  # of MMEngine's constructor, which ignores others
    'custom_keys',
    'bias_lr_mult',
    'bias_decay_mult',
    'norm_decay_mult',
    'flat_decay_mult',
    'dwconv_decay_mult',
    'dcn_offset_lr_mult',
    'bypass_duplicate',
)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor, with learning rates that fall towards the stem of the backbone.

    The learning rate of each parameter, as all other options give it, is multiplied by
    ``layer_decay_rate`` once for every layer between it and the last layer of its backbone, whose
    ``get_layer_depth`` is asked. Everything outside of a backbone keeps its own. A backbone is any
    part of the model of that name, also within wrappers.

    With ``decay_type='stage_wise'`` and ``num_layers``, as in mmsegmentation, all blocks of a stage
    are one layer: number ``i + 1`` of ``num_layers`` for stage ``i``, number 0 for the stem and all
    downsampling; so the last of four stages of twelve layers has the rate to the power of 9.

    Args:
        optim_wrapper_cfg (dict): As in MMEngine.
        paramwise_cfg (dict, optional): ``layer_decay_rate``, by default 1, with which any network
            can be trained; ``decay_type``, ``'layer_wise'`` (the default) or ``'stage_wise'``;
            ``num_layers`` of the latter; and all options of
            ``mmengine.optim.DefaultOptimWrapperConstructor``.

    Raises:
        TypeError: If ``layer_decay_rate`` is given and no backbone of the model has
            ``get_layer_depth``.
        ConfigError: If an option is unknown, or the optimiser has no ``lr``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        _refuse_unknown(self.paramwise_cfg, (*OWN_OPTIONS, *OPTIONS))
        decay_type = self.paramwise_cfg.get('decay_type', 'layer_wise')
        if decay_type not in ('layer_wise', 'stage_wise'):
            raise ConfigError(
                f"optim_wrapper.paramwise_cfg.decay_type must be 'layer_wise' or 'stage_wise', got "
                f'{decay_type!r}'
            )
        if (decay_type == 'stage_wise') != ('num_layers' in self.paramwise_cfg):
            raise ConfigError(
                "optim_wrapper.paramwise_cfg.num_layers belongs to decay_type='stage_wise', which "
                'needs it'
            )
        if self.base_lr is None:
            raise ConfigError('layer-wise decay needs optim_wrapper.optimizer.lr')

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: Any
    ) -> None:
        """Add the parameters of a module, with their learning rates, to the groups.

        Args:
            params (list[dict]): Parameter groups, extended in place.
            module (nn.Module): The whole model, or a part of it in the recursion.
            prefix (str): Name of the part. Defaults to ``''``, the whole model.
            **kwargs: As in MMEngine.
        """
        super().add_params(params, module, prefix=prefix, **kwargs)
        if prefix == '':
            self._decay(params, module)

    def _decay(self, params: list[dict], model: nn.Module) -> None:
        base_lr, rate = float(self.base_lr), self.paramwise_cfg.get('layer_decay_rate', 1.0)
        of_stages = self.paramwise_cfg.get('num_layers')
        backbones = _backbones(model) if 'layer_decay_rate' in self.paramwise_cfg else {}
        names = {id(param): name for name, param in model.named_parameters()}
        for group in params:
            (param,) = group['params']
            name = names[id(param)]
            self._add_other_keys(group, name)
            scale = 1.0
            for prefix, backbone in backbones.items():
                if name.startswith(prefix):
                    if of_stages is None:
                        depth, num_layers = backbone.get_layer_depth(name, prefix)
                    else:
                        num_layers = of_stages + 2
                        depth = _stage_depth(backbone, name, prefix, last=num_layers - 1)
                    scale = rate ** (num_layers - 1 - depth)
            group.update(lr=group.get('lr', base_lr) * scale, lr_scale=scale, param_name=name)
        rates = sorted({group['lr'] for group in params})
        if rates:
            print_log(
                f'layer-wise decay: {len(rates)} learning rates from {rates[0]:.3g} to '
                f'{rates[-1]:.3g}',
                'current',
            )

    def _add_other_keys(self, group: dict, name: str) -> None:
        """MMEngine takes the longest of ``custom_keys`` alone; here others set what it leaves out.

        So ``{'backbone': dict(lr_mult=0)}`` freezes positions, too, which recipes name because of
        their weight decay.
        """
        first, *others = _matching(self.paramwise_cfg.get('custom_keys', {}), name) or [{}]
        for option, field, base in (
            ('lr_mult', 'lr', self.base_lr),
            ('decay_mult', 'weight_decay', self.base_wd),
        ):
            given = next((keys[option] for keys in others if option in keys), None)
            if not {option, field} & set(first) and given is not None and base is not None:
                group[field] = base * given


def _stage_depth(backbone: Any, name: str, prefix: str, last: int) -> int:
    if not hasattr(backbone, 'get_stage'):
        raise TypeError(
            "decay_type='stage_wise' of optim_wrapper.paramwise_cfg needs a backbone of mmfreq, "
            f'got {type(backbone).__name__}; remove decay_type and num_layers'
        )
    stage = backbone.get_stage(name, prefix)
    if stage is None:
        return last
    if stage + 1 >= last:
        raise ConfigError(
            f'optim_wrapper.paramwise_cfg.num_layers must be at least the number of stages, got '
            f'{last - 1}'
        )
    return 0 if '.downsample.' in name else stage + 1


def _matching(custom_keys: dict[str, dict], name: str) -> list[dict]:
    """Options of the keys that are in a parameter's name, MMEngine's choice first."""
    keys = sorted(sorted(custom_keys), key=len, reverse=True)
    return [custom_keys[key] for key in keys if key in name]


def check_paramwise(optim_wrapper: dict[str, Any], model: nn.Module) -> None:
    """Check options for single parameters, of which MMEngine ignores unknown ones.

    Args:
        optim_wrapper (dict): Config of the optimiser wrapper.
        model (nn.Module): The model. Keys of ``custom_keys`` that are in no name of its parameters
            are logged: recipes have some for other networks.

    Raises:
        ConfigError: If an option of MMEngine's own constructor is unknown.
    """
    options = optim_wrapper.get('paramwise_cfg') or {}
    is_mmengines = type_name(dict(type=optim_wrapper.get('constructor', DEFAULT))) == DEFAULT
    if is_mmengines:
        _refuse_unknown(options, OPTIONS)
    if options.get('custom_keys'):
        _refuse_unknown_keys(optim_wrapper)
    names = [name for name, _ in model.named_parameters()]
    if is_mmengines:
        _say_overruled(options.get('custom_keys') or {}, names)
    idle = [key for key in options.get('custom_keys') or {} if not any(key in n for n in names)]
    if idle:
        print_log(
            f'no parameter has a name with {", ".join(idle)} of paramwise_cfg.custom_keys',
            'current',
        )


def _refuse_unknown_keys(optim_wrapper: dict[str, Any]) -> None:
    """Options of ``custom_keys``: MMEngine's, or any of the optimiser for its groups."""
    kind = optim_wrapper.get('optimizer', {}).get('type')
    with OPTIMIZERS.switch_scope_and_registry(None) as registry:
        optimizer = registry.get(kind) if isinstance(kind, str) else kind
    if optimizer is None:
        return
    known = ['lr_mult', 'decay_mult', *list(inspect.signature(optimizer).parameters)[1:]]
    for key, options in (optim_wrapper['paramwise_cfg'].get('custom_keys') or {}).items():
        for name in options:
            if name not in known:
                raise ConfigError(
                    f'optim_wrapper.paramwise_cfg.custom_keys[{key!r}] has {name!r}, which is '
                    f'read by nothing{nearest(name, known)}'
                )


def _say_overruled(custom_keys: dict[str, dict], names: Sequence[str]) -> None:
    """Log options of ``custom_keys`` without effect, where MMEngine takes another key alone."""
    overruled: dict[str, list[str]] = {}
    for name in names:
        first, *others = _matching(custom_keys, name) or [{}]
        for option in {option for keys in others for option in keys if option not in first}:
            overruled.setdefault(option, []).append(name)
    for option, found in overruled.items():
        print_log(
            f'{option} of paramwise_cfg.custom_keys is not that of a shorter key for '
            f'{enumerate_names(found)}: MMEngine takes the longest key alone, set it there',
            'current',
            logging.WARNING,
        )


def _refuse_unknown(options: dict[str, Any], known: Sequence[str]) -> None:
    for name in options:
        if name not in known:
            raise ConfigError(
                f'optim_wrapper.paramwise_cfg.{name} is read by nothing{nearest(name, known)}'
            )


def _backbones(model: nn.Module) -> dict[str, Any]:
    """Backbones by the beginning of their parameters' names."""
    found = {
        f'{name}.': child
        for name, child in model.named_modules()
        if name.split('.')[-1] == 'backbone' and hasattr(child, 'get_layer_depth')
    }
    if not found:
        backbone = getattr(model, 'backbone', None)
        raise TypeError(
            f'layer-wise learning-rate decay needs a backbone with get_layer_depth, and '
            f'{type(backbone).__name__} of {type(model).__name__} has none; remove constructor and '
            'layer_decay_rate from optim_wrapper'
        )
    return found
