"""Walking through the dicts and lists of a config."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = [
    'as_list',
    'dicts_in',
    'find_backbones',
    'find_data_sets',
    'map_leaves',
    'package_of',
    'type_name',
]


def as_list(value: Any) -> list[Any]:
    """What a config may give as one thing or as several: a list, empty for None."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def dicts_in(node: Any, path: str = '') -> Iterator[tuple[str, dict]]:
    """All dicts of a part of a config, the outer ones first.

    Args:
        node (Any): Part of a config.
        path (str): Dotted key of the part. Defaults to ``''``, the whole config.

    Yields:
        tuple[str, dict]: Dotted key, as ``--cfg-options`` takes it, and dict.
    """
    if isinstance(node, dict):
        yield path, node
        children: Iterable[tuple[Any, Any]] = node.items()
    elif isinstance(node, (list, tuple)):
        children = enumerate(node)
    else:
        return
    for key, child in children:
        yield from dicts_in(child, f'{path}.{key}' if path else str(key))


def map_leaves(node: Any, change: Callable[[Any], Any]) -> Any:
    """Change every value in the dicts, lists and tuples of a config.

    Args:
        node (Any): A part of a config; its dicts are changed in place.
        change (Callable): Called with each value; returns the new one.

    Returns:
        Any: The part with changed values.
    """
    if isinstance(node, dict):
        for key, child in node.items():
            node[key] = map_leaves(child, change)
        return node
    if isinstance(node, (list, tuple)):
        return type(node)(map_leaves(child, change) for child in node)
    return change(node)


def type_name(node: Any) -> str:
    """Name of the class that a config dict is built as, without scope; ``''`` if it says none.

    Args:
        node (Any): A config dict, whose ``type`` may be a name, a name with scope or a class.

    Returns:
        str: For example ``'EMAHook'`` for ``dict(type='mmengine.EMAHook')``.
    """
    kind = node.get('type', '') if isinstance(node, dict) else ''
    return kind.split('.')[-1] if isinstance(kind, str) else getattr(kind, '__name__', '')


def package_of(node: Any) -> str:
    """Package or scope that a config dict's ``type`` is from; ``''`` if it does not say.

    Args:
        node (Any): A config dict, whose ``type`` may be a name, a name with scope or a class.

    Returns:
        str: For example ``'mmseg'`` for ``dict(type='mmseg.FCNHead')`` and ``dict(type=FCNHead)``.
    """
    kind = node.get('type', '')
    name = kind if isinstance(kind, str) else f'{kind.__module__}.'
    return name.split('.')[0] if '.' in name else ''


def find_backbones(model: Any) -> dict[str, dict]:
    """Parts of a model's config that have a backbone, also inside of wrappers.

    What a backbone is made of is its own affair, also where that is called a backbone.

    Args:
        model (Any): ``cfg.model``.

    Returns:
        dict[str, dict]: The dict around each backbone by the backbone's dotted key.
    """
    return {
        f'{path}.backbone': node
        for path, node in dicts_in(model, 'model')
        if isinstance(node.get('backbone'), dict) and 'backbone' not in path.split('.')
    }


def find_data_sets(cfg: Any) -> dict[str, dict]:
    """Configs of all data sets of a run, also those inside of wrappers.

    Args:
        cfg (Any): The whole config.

    Returns:
        dict[str, dict]: Each by its dotted key, such as ``'train_dataloader.dataset'``.
    """
    return {
        path: node
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader')
        for path, node in dicts_in(cfg.get(loader), loader)
        if 'type' in node and {'data_root', 'data_prefix', 'ann_file'} & set(node)
    }
