"""Variables of config files, put in before what is made from them is made.

A config is Python: ``crop_size = (512, 512)`` in a file is read once, when its pipelines are built
from it, and a value that is given later changes nothing. Here the value takes the place of the
assignment in the source, in every file of the config, so that all that follows from it follows.
"""

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from mmfreq.utils.errors import ConfigError

__all__ = ['put_in_variables', 'reading_file', 'reading_with']

OWN_PREFIX = 'mmfreq::'


class _Values(NamedTuple):
    """What holds while a file is read.

    Attributes:
        here (dict): Values for the file, by name.
        bases (dict): Values for the files that it inherits from.
        used (set[str]): Names that were put in somewhere.
    """

    here: Mapping[str, Any]
    bases: Mapping[str, Any]
    used: set[str]


_current: ContextVar[_Values | None] = ContextVar('variables of config files', default=None)


@contextmanager
def reading_with(variables: Mapping[str, Any]) -> Iterator[set[str]]:
    """Put variables into all config files that are read meanwhile.

    Args:
        variables (Mapping): Numbers, texts, and tuples and lists of them, by name.

    Yields:
        set[str]: Names of those that a file sets, filled while files are read.
    """
    used: set[str] = set()
    token = _current.set(_Values({}, variables, used))
    try:
        yield used
    finally:
        _current.reset(token)


@contextmanager
def reading_file(path: str) -> Iterator[None]:
    """Say which file is read; those that it inherits from are read meanwhile.

    A file that inherits from a config of this package, directly or through others, hands its own
    variables on: plain values, and ``len`` of one of them, as in ``num_classes = len(classes)``.

    Args:
        path (str): The file.
    """
    outer = _current.get() or _Values({}, {}, set())
    bases = {**_variables_to_hand_on(path, outer.bases), **outer.bases}
    token = _current.set(_Values(outer.bases, bases, outer.used))
    try:
        yield
    finally:
        _current.reset(token)


def put_in_variables(path: str) -> None:
    """Put the values that hold now into a file, in place of what it assigns.

    Args:
        path (str): A copy of the file that is read; it is changed.

    Raises:
        ConfigError: If a value is of another kind than the one in the file.
    """
    values = _current.get()
    tree = _parse(path) if values is not None and values.here else None
    if values is None or tree is None:
        return
    found = set()
    for name, statement in _assignments(tree):
        if name in values.here and not _is_dict(statement.value):
            value = _as_in_file(name, values.here[name], statement.value)
            statement.value = ast.parse(repr(value), mode='eval').body
            found.add(name)
    if found:
        values.used.update(found)
        Path(path).write_text(ast.unparse(tree), encoding='utf-8')


def _parse(path: str) -> ast.Module | None:
    if not path.endswith('.py'):
        return None
    try:
        return ast.parse(Path(path).read_text(encoding='utf-8'))
    except (OSError, SyntaxError, ValueError):  # MMEngine says it when it reads the file
        return None


def _assignments(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Names that a file sets at its top level, with the statements."""
    for statement in tree.body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Name) and target.id != '_base_':
                yield target.id, statement


def _variables_to_hand_on(path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    tree = _parse(path)
    if tree is None or not _inherits_from_ours(path, tree, set()):
        return {}
    found: dict[str, Any] = {}
    for name, statement in _assignments(tree):
        found.pop(name, None)
        try:
            found[name] = _plain_value(statement.value, {**found, **given})
        except (ValueError, KeyError):  # made from something else: not ours to compute
            continue
    return found


def _inherits_from_ours(path: str, tree: ast.Module, seen: set[Path]) -> bool:
    for base in _bases(tree):
        if base.startswith(OWN_PREFIX):
            return True
        file = Path(path).parent / base
        if '::' in base or file in seen:
            continue
        seen.add(file)
        inherited = _parse(str(file))
        if inherited is not None and _inherits_from_ours(str(file), inherited, seen):
            return True
    return False


def _bases(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == '_base_':
            for node in ast.walk(statement.value):
                if isinstance(node, ast.Constant):
                    yield str(node.value)


def _plain_value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) == 'len'
        and isinstance(node.args[0], ast.Name)
    ):
        return len(known[node.args[0].id])
    value = ast.literal_eval(node)
    if isinstance(value, dict) or any(isinstance(part, ast.Dict) for part in ast.walk(node)):
        raise ValueError('dicts are merged by MMEngine')
    return value


def _is_dict(node: ast.expr) -> bool:
    """Whether an expression makes a dict, which MMEngine merges, key by key."""
    return isinstance(node, ast.Dict) or (
        isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict'
    )


def _as_in_file(name: str, value: Any, node: ast.expr) -> Any:
    """A value in the form that the file has it in: a tuple in place of a tuple."""
    several = isinstance(value, (tuple, list))
    if isinstance(node, (ast.Tuple, ast.List)) and not several:
        raise ConfigError(
            f'{name} is {ast.unparse(node)} in the config, got {value!r}; give values in '
            f'brackets, as in "{name}=(A,B)"'
        )
    if isinstance(node, ast.Constant) and node.value is not None:
        if isinstance(node.value, str):
            return value if several or value is None else str(value)
        if several or isinstance(value, str):
            raise ConfigError(f'{name} is {node.value!r} in the config, a number; got {value!r}')
    if several:
        return list(value) if isinstance(node, ast.List) else tuple(value)
    return value
