"""Our operators of torch.library can be read by the oldest torch that is supported."""

import ast
import re
from pathlib import Path

import pytest

import mmfreq

PACKAGE = Path(mmfreq.__file__).parent


def operators(path):
    """Functions of a file that are custom operators, each with the call that registers it."""
    for node in ast.walk(ast.parse(path.read_text())):
        for call in getattr(node, 'decorator_list', []):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith('custom_op'):
                yield node, call


FILES = [path for path in sorted(PACKAGE.rglob('*.py')) if list(operators(path))]


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_schemas_are_stated_where_torch_2_6_cannot_read_types(path):
    """It knows ``typing.List[int]`` and not ``list[int]``, and cannot be imported beside it."""
    for function, call in operators(path):
        types = [argument.annotation for argument in function.args.args] + [function.returns]
        lists = any(re.search(r'list\[|Sequence\[', ast.unparse(kind)) for kind in types if kind)
        assert not lists or 'schema' in {option.arg for option in call.keywords}, function.name


def test_operators_are_found():
    assert {path.stem for path in FILES} >= {'products', 'filter', 'heat_conduction'}
