"""Which modules of a package import which, read from their source without running it."""

import ast
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Storeys = Sequence[Sequence[str]]


def imports_of(package: Path) -> dict[str, set[str]]:
    """Modules of a package that each of its modules imports, within functions too.

    Names are relative to the package: ``'kernels.fft'``, and ``'kernels.__init__'`` for a folder.
    What Python runs besides, the ``__init__`` of the folders that a module lies in, is not counted.
    """
    files = sorted(package.rglob('*.py'))
    modules = {'.'.join(file.relative_to(package).with_suffix('').parts): file for file in files}
    root = _full_name(package)
    graph = {}
    for name, file in modules.items():
        found = {_module(full, root, modules) for full in _imported(file, f'{root}.{name}')}
        graph[name] = {other for other in found if other is not None} - {name}
    return graph


def faults(package: Path, storeys: Storeys) -> list[str]:
    """What is wrong with the imports of a package, a line each; none if all run downward.

    Args:
        package (Path): Folder of the package.
        storeys (Storeys): From top to bottom, patterns for the names of the modules of a storey, as
            in :func:`imports_of`; ``*`` stands for any text, dots too. Modules may import what lies
            below, and each other within a storey as long as that makes no circle.
    """
    graph = imports_of(package)
    lines, storey_of = [], {}
    for name in graph:
        matching = [i for i, patterns in enumerate(storeys) if _matches(name, patterns)]
        if len(matching) == 1:
            storey_of[name] = matching[0]
        else:
            lines.append(f'{name} lies in {len(matching)} storeys')
    for pattern in (pattern for patterns in storeys for pattern in patterns):
        if not any(fnmatchcase(name, pattern) for name in graph):
            lines.append(f'no module is called {pattern}')
    for name, others in graph.items():
        for other in sorted(others):
            if name in storey_of and other in storey_of and storey_of[other] < storey_of[name]:
                lines.append(f'{name} imports {other}, which lies above it')
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        lines.append(f'a circle: {" -> ".join(reversed(error.args[1]))}')
    return lines


def imports_by_string(package: Path) -> list[str]:
    """Calls of ``import_module`` and ``__import__`` in a package, as ``file:line``."""
    found = []
    for file in sorted(package.rglob('*.py')):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                function = ast.unparse(node.func).rpartition('.')[2]
                if function in ('import_module', '__import__'):
                    found.append(f'{file.relative_to(package)}:{node.lineno}')
    return found


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _full_name(package: Path) -> str:
    """Name that a folder is imported by."""
    if (package.parent / '__init__.py').exists():
        return f'{_full_name(package.parent)}.{package.name}'
    return package.name


def _imported(file: Path, name: str) -> Iterator[str]:
    """Full names that a module's statements import: modules, or what may be in one."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = name.rsplit('.', node.level)[0] if node.level else ''
            source = '.'.join(part for part in (start, node.module) if part)
            yield from (f'{source}.{alias.name}' for alias in node.names)


def _module(full: str, root: str, modules: dict[str, Path]) -> str | None:
    """The module of a package that a name is, or lies in; None if it is of another package."""
    if full != root and not full.startswith(f'{root}.'):
        return None
    parts = full.split('.')[root.count('.') + 1 :]
    for count in range(len(parts), 0, -1):
        name = '.'.join(parts[:count])
        for module in (name, f'{name}.__init__'):
            if module in modules:
                return module
    return '__init__'
