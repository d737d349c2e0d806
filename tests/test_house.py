"""The storeys of the whole package; those of mmfreq.ops are in tests/ops/test_storeys.py."""

from pathlib import Path

from imports import faults, imports_by_string

import mmfreq

PACKAGE = Path(mmfreq.__file__).parent
STOREYS = (
    ('__main__', '__init__', 'commands.*', 'apis'),  # what people call
    ('inspection.*',),  # data of one's own
    ('comparison.*',),  # several networks under one recipe
    ('serving.*',),  # the page of mmfreq serve
    ('inference.*',),  # predictions for images of one's own
    ('analysis.*', 'export', 'int8', 'check_env'),  # reports, files for other programs
    ('engine.*',),  # runs: configs, hooks, loops, data checks
    ('zoo', 'datasets.*', 'evaluation.*'),  # networks by name, data, metrics
    ('models.*',),  # backbones and what they are made of
    ('ops.*', 'registry', 'facts', 'preemption'),  # operations; numbers that are kept
    ('utils.*', 'version', 'mmengine_patches'),  # ground
)
# Packages that may be missing, and the files of a folder.
BY_STRING = {'__main__.py', 'check_env.py', 'export.py', 'models/backbones/__init__.py'}


def test_imports_run_downward():
    assert faults(PACKAGE, STOREYS) == []


def test_modules_are_imported_where_an_editor_can_follow():
    found = {place.partition(':')[0] for place in imports_by_string(PACKAGE)}
    assert found == BY_STRING
