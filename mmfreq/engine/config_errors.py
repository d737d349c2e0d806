"""Which key of a config an error comes from, and what may have been meant."""

import ast
import difflib
import inspect
import logging
import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import Registry
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from mmfreq.models.backbones.options import OF_FILTERS
from mmfreq.utils.config_tree import dicts_in
from mmfreq.utils.names import nearest

__all__ = ['check_keys', 'explain', 'merge_options', 'require_keys']

# Keys that MMEngine's runner and the tools read; others are variables of a config file.
KEYS = {
    *inspect.signature(Runner.__init__).parameters,
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
} - {'self', 'cfg'}
# Parts that MMEngine reads by name, without a word about other names.
PARTS = {
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'auto_scale_lr': ('enable', 'base_batch_size'),
}
# Of OpenMMLab's configs before MMEngine, which nothing reads.
FORMER_KEYS = (
    'checkpoint_config',
    'log_config',
    'lr_config',
    'total_epochs',
)

UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


def merge_options(cfg: Config, options: dict[str, Any]) -> None:
    """Put the values of ``--cfg-options`` into a config.

    Args:
        cfg (Config): Config, changed in place.
        options (dict): Values by dotted key.

    Raises:
        ValueError: If a key cannot have an effect: it is none of MMEngine's, or leads nowhere.
    """
    for key, value in options.items():
        first = key.split('.')[0]
        if first not in KEYS:
            raise ValueError(f'--cfg-options {key}: {_no_key(cfg, first)}')
        parent, _, name = key.rpartition('.')
        siblings = dict(dicts_in(cfg._cfg_dict)).get(parent, {}) if parent else {}
        near = difflib.get_close_matches(name, map(str, siblings), n=1, cutoff=0.9)
        if 'type' not in siblings and name not in siblings and near:
            raise ValueError(f'{parent}: there is no argument {name!r}; did you mean {near[0]}?')
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, IndexError, TypeError, AssertionError) as error:
            reason = str(error.args[0]) if error.args else type(error).__name__
            raise ValueError(f'--cfg-options {key}: {reason}') from error


def check_keys(cfg: Config) -> None:
    """Raise a ``ValueError`` for keys that nothing reads and that look like ones that are read.

    Args:
        cfg (Config): The whole config. Its variables may have any other names.
    """
    for key in cfg:
        if key not in KEYS and _misspelt(key, KEYS):
            raise ValueError(f'{key} in the config is read by nothing{nearest(key, sorted(KEYS))}')
        if key in FORMER_KEYS:
            raise ValueError(
                f'{key} in the config is of former versions and read by nothing; MMEngine has '
                'optim_wrapper, param_scheduler, train_cfg, default_hooks and *_evaluator'
            )
    for part, known in PARTS.items():
        for key in cfg.get(part) or {}:
            if key not in known:
                raise ValueError(f'{part}.{key} is read by nothing{nearest(key, known)}')
    _warn_of_unused_variables(cfg)
    if cfg.get('runner_type'):
        raise ValueError(f'runner_type={cfg.runner_type}: only the default runner is supported')


def require_keys(cfg: Config, keys: Sequence[str], purpose: str) -> None:
    """Raise a ``ValueError`` that names the keys that a config lacks.

    Args:
        cfg (Config): The whole config.
        keys (Sequence[str]): Keys of it.
        purpose (str): What needs them, for the message.
    """
    missing = [key for key in keys if cfg.get(key) is None]
    if missing:
        raise ValueError(f'the config has no {", ".join(missing)}, which {purpose} needs')


def explain(error: BaseException, cfg: Config | None = None) -> str | None:
    """Say which key of a config an error comes from.

    MMEngine builds a run by calling what ``type`` names with the other keys. The call that failed
    is found in the traceback, and its dict in the config.

    Args:
        error (BaseException): Caught while a run was built.
        cfg (Config, optional): The run's config. Defaults to None: the one that a function had
            at hand where the error came through.

    Returns:
        str | None: One line that begins with the key; None if the error comes from elsewhere.
    """
    frames = list(_frames(error))
    if cfg is None:
        configs = (v for f in frames for v in f.f_locals.values() if isinstance(v, Config))
        cfg = next(configs, None)
    if cfg is None:
        return None
    for frame in frames:
        found = _built_from(frame, cfg)
        if found is not None:
            key, node = found
            return f'{key}{_called(node)}: {_reason(error, frame, node)}'
    unexpected = UNEXPECTED.search(str(error))
    paths = [
        f'{key}.{unexpected[1]}' if key else unexpected[1]
        for key, node in dicts_in(cfg._cfg_dict)
        if unexpected and unexpected[1] in node
    ]
    return f'{", ".join(paths)}: {error}' if paths else None


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Frames of a traceback, the innermost first."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    yield from reversed(frames)


def _built_from(frame: FrameType, cfg: Config) -> tuple[str, dict] | None:
    """The dict of a config that a frame builds something from, with its key."""
    if not re.match(r'_*build|from_cfg', frame.f_code.co_name):
        return None
    for value in frame.f_locals.values():
        if not isinstance(value, dict) or isinstance(value, Config) or not value:
            continue
        for key, node in dicts_in(cfg._cfg_dict):
            if key and node and _is_built_as(value, node):
                return key, node
    return None


def _is_built_as(value: dict, node: dict) -> bool:
    """Whether a dict is one of a config; whoever builds adds keys, but takes none away."""
    if 'type' not in node:
        return value == node
    return all(key in value and value[key] == item for key, item in node.items())


def _called(node: dict) -> str:
    return f' ({node["type"]})' if isinstance(node.get('type'), str) else ''


def _reason(error: BaseException, frame: FrameType, node: dict) -> str:
    text = ' '.join(str(error.args[0] if isinstance(error, KeyError) else error).split())
    unexpected = UNEXPECTED.search(text)
    if unexpected:
        name, takes = unexpected[1], _parameters(frame, node)
        if text.endswith(OF_FILTERS):
            return f'there is no argument {name!r}{OF_FILTERS}'
        return f'there is no argument {name!r}' + (nearest(name, takes) if takes else '')
    missing = re.search(r'is not in the [\w:]+(?: [\w ]+)? registry', text)
    registry = frame.f_locals.get('registry')
    if missing and isinstance(registry, Registry):
        return f'there is no {node.get("type")!r}{nearest(str(node.get("type")), _known(registry))}'
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f'{Path(where.filename).name}, line {where.lineno}'
    if isinstance(error, (ValueError, OSError)):
        return text
    return f'{type(error).__name__}: {text or "no message"} ({place})'


def _parameters(frame: FrameType, node: dict) -> list[str]:
    """Names of the arguments of what a frame calls."""
    called = frame.f_locals.get('obj_cls')
    if called is None:  # MMEngine calls its own loops without a registry
        called = EpochBasedTrainLoop if 'max_epochs' in node else IterBasedTrainLoop
    names: list[str] = []
    for kind in inspect.getmro(called) if inspect.isclass(called) else [called]:
        try:
            parameters = inspect.signature(kind).parameters
        except (TypeError, ValueError):  # built-in types
            continue
        names += parameters
        if not any(item.kind is item.VAR_KEYWORD for item in parameters.values()):
            break  # nothing is handed on to the bases
    return [
        name for name in dict.fromkeys(names) if name not in ('self', 'args', 'kwargs', 'runner')
    ]


def _known(registry: Registry) -> list[str]:
    names: list[str] = []
    current: Registry | None = registry
    while current is not None:
        names += current.module_dict
        for scope, child in current.children.items():
            names += [f'{scope}.{name}' for name in child.module_dict]
        current = current.parent
    return sorted(set(names))


def _misspelt(key: str, known: set[str]) -> bool:
    return bool(difflib.get_close_matches(key, known, n=1, cutoff=0.92))


def _warn_of_unused_variables(cfg: Config) -> None:
    """Log variables of the config's own file that nothing uses and that look like others."""
    path = Path(cfg.filename or '')
    if path.suffix != '.py' or not path.is_file():
        return
    nodes = ast.walk(ast.parse(path.read_text('utf-8')))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    for name in sorted((own & {*cfg}) - used - KEYS):
        meant = sorted(key for key in {*cfg, *KEYS} - own if _is_one_slip(name, key))
        if meant:
            print_log(
                f'{name} in {path} is read by nothing; did you mean {meant[0]}?',
                'current',
                logging.WARNING,
            )


def _is_one_slip(name: str, key: str) -> bool:
    """Whether a letter was left out, added, replaced, or exchanged with the next."""
    if min(len(name), len(key)) < 5 or abs(len(name) - len(key)) > 1:
        return False
    if len(name) != len(key):
        longer, shorter = sorted((name, key), key=len, reverse=True)
        return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))
    wrong = [i for i in range(len(name)) if name[i] != key[i]]
    if len(wrong) == 1:
        return not (name[wrong[0]] + key[wrong[0]]).isdigit()
    first, last = wrong[0], wrong[-1]
    return len(wrong) == 2 and name[first : last + 1] == key[first : last + 1][::-1]


def _no_key(cfg: Config, name: str) -> str:
    if name not in cfg:
        return f'there is no key or variable {name!r}{nearest(name, sorted(cfg))}'
    users = [key for key, node in _values(cfg) if key.split('.')[0] in KEYS and node == cfg[name]]
    message = (
        f'{name} is a variable of the config file, and what is made from it has its value already'
    )
    return message + (f'; set {", ".join(users)}' if users else '; set the keys that use it')


def _values(cfg: Config) -> Iterator[tuple[str, Any]]:
    for path, node in dicts_in(cfg._cfg_dict):
        for key, value in node.items():
            yield (f'{path}.{key}' if path else key), value
