"""What is compared: configs, seeds and a metric, read from one file."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from mmfreq.utils.names import nearest

__all__ = ['Condition', 'Recipe', 'dump_recipe', 'read_recipe']


@dataclass(frozen=True)
class Condition:
    """A change under which trained networks are tested once more.

    Attributes:
        options (dict[str, Any]): Values in place of those of the config, by dotted key. Defaults to
            none.
        transforms (list[dict]): Transforms that the images of the test pass last, such as
            ``dict(type='mmfreq.Corrupt', corruption='gaussian_blur')``. Defaults to none.
        networks (list[str]): Names of the networks that are tested. Defaults to all.
    """

    options: dict[str, Any] = field(default_factory=dict)
    transforms: list[dict[str, Any]] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recipe:
    """A comparison.

    Attributes:
        configs (dict[str, str]): Config of each network by the name that it has in tables; the
            others are compared with the first.
        metric (str): The metric as validation logs it, such as ``'mIoU'`` or ``'coco/bbox_mAP'``.
        seeds (list[int]): Each config is trained once with each. Defaults to 0, 1, 2.
        rule (str): Whether ``'greater'`` or ``'less'`` is better. Defaults to ``'greater'``.
        options (dict[str, Any]): Values in place of those of the configs, by dotted key, for all of
            them alike. Defaults to none.
        conditions (dict[str, Condition]): Changes under which the trained networks are tested, by
            name. Defaults to none.
    """

    configs: dict[str, str]
    metric: str
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    rule: str = 'greater'
    options: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, Condition] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """Keys that are there twice are an error, else the last one would count without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Read a mapping."""
        keys = [key.value for key, _ in node.value if key.tag != 'tag:yaml.org,2002:merge']
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f'{key} is there twice', node.start_mark
                )
        return super().construct_mapping(node, deep)


NAME = re.compile(r'[^\W_][\w .,:;()+=%*-]*')  # a folder, a cell of a table, a legend
_TYPES: dict[str, type] = dict(
    configs=dict, metric=str, seeds=list, rule=str, options=dict, conditions=dict
)
_MAY_BE_EMPTY = ('options', 'conditions')


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        path (str | Path): YAML file with the keys of :class:`Recipe`. Configs are paths relative to
            it, or names of configs, see ``mmfreq list``.

    Returns:
        Recipe: The recipe, with absolute paths for configs that are files.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not YAML, or a key is unknown, missing or has another type; the
            message names file and key.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no recipe {path}')
    try:
        content = yaml.load(path.read_text(), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not a YAML file: {error}') from error
    if not isinstance(content, dict):
        raise ValueError(f'{path} must hold keys and values, got {type(content).__name__}')
    _check_keys(str(path), content, Recipe)
    _check_types(str(path), content, _TYPES, _MAY_BE_EMPTY)
    missing = {'configs', 'metric'} - set(content)
    if missing:
        raise ValueError(f'{path} has no {", ".join(sorted(missing))}')
    recipe = Recipe(**content)
    if not all(type(seed) is int and seed >= 0 for seed in recipe.seeds):
        raise ValueError(f'{path}: seeds must be whole numbers, got {recipe.seeds}')
    for seed in recipe.seeds:
        if recipe.seeds.count(seed) > 1:
            raise ValueError(f'{path}: seeds has {seed} twice')
    if recipe.rule not in ('greater', 'less'):
        raise ValueError(f"{path}: rule must be 'greater' or 'less', got {recipe.rule!r}")
    _read_numbers(str(path), recipe.options)
    for name, given in recipe.conditions.items():
        _check_name(path, name)
        recipe.conditions[name] = _read_condition(f'{path}: conditions: {name}', given, recipe)
    for name, config in recipe.configs.items():
        _check_name(path, name)
        if not isinstance(config, str):
            raise ValueError(f'{path}: configs: {name} must be a file or a name, got {config!r}')
        beside = path.parent / config
        if beside.is_file():
            recipe.configs[name] = str(beside.resolve())
        elif config.endswith('.py') and '::' not in config:
            raise FileNotFoundError(f'{path}: there is no config {beside}')
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """A recipe as a text that :func:`read_recipe` reads, without what is empty.

    Args:
        recipe (Recipe): The recipe.

    Returns:
        str: YAML.
    """
    content = asdict(recipe, dict_factory=lambda pairs: {key: item for key, item in pairs if item})
    return yaml.safe_dump(content, sort_keys=False)


def _read_condition(where: str, given: Any, recipe: Recipe) -> Condition:
    if not isinstance(given, dict):
        raise ValueError(f'{where} must be a mapping, got {given!r}')
    _check_keys(where, given, Condition)
    _check_types(where, given, dict(options=dict, transforms=list, networks=list), ('options',))
    condition = Condition(**given)
    _read_numbers(where, condition.options)
    for transform in condition.transforms:
        if not isinstance(transform, dict) or 'type' not in transform:
            raise ValueError(f'{where}: transforms must have a type each, got {transform!r}')
    for network in condition.networks:
        if network not in recipe.configs:
            raise ValueError(
                f'{where}: networks has {network!r}, which is not in configs'
                f'{nearest(str(network), list(recipe.configs))}'
            )
    return condition


def _check_name(path: Path, name: Any) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f'{path}: names of networks and conditions are letters, numbers, spaces and '
            f'.,:;()+=%*-, with a letter or number first, got {name!r}'
        )


def _check_keys(where: str, given: dict[Any, Any], kind: type[Recipe] | type[Condition]) -> None:
    known = [item.name for item in fields(kind)]
    for key in given:
        if key not in known:
            raise ValueError(f'{where}: {key} is unknown{nearest(str(key), known)}')


def _check_types(
    where: str, given: dict[str, Any], types: dict[str, type], may_be_empty: Sequence[str]
) -> None:
    for key, value in given.items():
        if not isinstance(value, types[key]) or (key not in may_be_empty and not value):
            names: dict[type, str] = {dict: 'a mapping', list: 'a list', str: 'a name'}
            raise ValueError(f'{where}: {key} must be {names[types[key]]}, got {value!r}')


def _read_numbers(where: str, options: dict[str, Any]) -> None:
    """Numbers such as 1e-4, which are texts to YAML."""
    for key, value in options.items():
        if not isinstance(key, str):
            raise ValueError(f'{where}: options must have dotted keys, got {key!r}')
        if re.fullmatch(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+', str(value)):
            options[key] = float(value)
