"""What the modules of mmfreq.ops stand on: imports run downward, and an editor can follow them."""

from pathlib import Path

import pytest
from imports import faults, imports_by_string, imports_of

import mmfreq

OPS = Path(mmfreq.__file__).parent / 'ops'

STOREYS = (
    ('__init__',),
    ('composition',),  # of kernels, from a spectrum
    # Operations that others call.
    ('filter', 'dct', 'spectrum', 'resize', 'frequencies', 'bands', 'kernel_spectrum'),
    ('choice',),  # which kernel computes one
    ('kernels.*',),  # one module, or folder, for each backend
    ('fft', 'layout', 'products'),  # transforms, memory formats, products with small matrices
    ('matrices', 'derived'),  # what is computed once
    ('tracing',),  # ground
)


def test_imports_run_downward():
    assert faults(OPS, STOREYS) == []


def test_nothing_is_imported_by_a_string():
    assert imports_by_string(OPS) == []


# ---- the checker


@pytest.fixture
def package(tmp_path):
    """Folder of a package in which ``top`` imports ``middle``, and that ``low.ground``."""
    files = {
        '__init__.py': '',
        'things/__init__.py': 'from library.things.top import f\n',
        'things/top.py': 'import torch\nfrom library.things import middle\n',
        'things/middle.py': 'from .low import ground as floor\n',
        'things/low/__init__.py': '',
        'things/low/ground.py': 'import numpy as np\n',
    }
    for name, text in files.items():
        file = tmp_path / 'library' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / 'library/things'


HOUSE = (('__init__',), ('top',), ('middle',), ('low.*',))


def test_a_sound_package_has_no_faults(package):
    assert faults(package, HOUSE) == []
    assert imports_of(package) == {
        '__init__': {'top'},
        'top': {'middle'},
        'middle': {'low.ground'},
        'low.__init__': set(),
        'low.ground': set(),
    }


@pytest.mark.parametrize(
    ('statement', 'imported'),
    [
        ('from library.things.top import f', 'top'),
        ('from library.things import top', 'top'),
        ('import library.things.top as t', 'top'),
        ('def f():\n    from library.things.top import g', 'top'),
        ('def f():\n    if True:\n        import library.things.top', 'top'),
        ('from ..top import f', 'top'),
        ('from .. import top', 'top'),
        ('from library.things import f', '__init__'),
    ],
)
def test_imports_that_run_upward_are_named(package, statement, imported):
    (package / 'low/ground.py').write_text(f'{statement}\n')
    assert f'low.ground imports {imported}, which lies above it' in faults(package, HOUSE)


def test_circles_within_a_storey_are_named(package):
    one_storey = (('__init__',), ('top', 'middle', 'low.*'))
    assert faults(package, one_storey) == []
    (package / 'low/ground.py').write_text('def f():\n    from library.things import top\n')
    (fault,) = faults(package, one_storey)
    assert fault.startswith('a circle: ')
    for step in ('top -> middle', 'middle -> low.ground', 'low.ground -> top'):
        assert step in fault


def test_every_module_has_one_storey_and_every_pattern_a_module(package):
    (package / 'new.py').write_text('')
    storeys = (*HOUSE, ('middle', 'old'))
    assert faults(package, storeys) == [
        'middle lies in 2 storeys',
        'new lies in 0 storeys',
        'no module is called old',
    ]


def test_imports_by_a_string_are_found(package):
    (package / 'top.py').write_text(
        "import importlib\n\ndef f():\n    importlib.import_module(f'library.{1}')\n"
    )
    assert imports_by_string(package) == ['top.py:4']
