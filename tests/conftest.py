"""Fixtures that several test files share."""

import importlib.util
import os

os.environ.setdefault('TRITON_INTERPRET', '1')  # before anything imports Triton

import socket
from pathlib import Path
from types import ModuleType

import pytest
import torch

REPOSITORY = Path(__file__).parents[1]
LONGEST_FILES = (
    'test_matrix.py',
    'test_faults.py',
    'test_resumption.py',
    'test_slurm.py',
    'test_readme.py',
    'test_main.py',
    'test_tools.py',
    'test_compare.py',
    'test_fuzz.py',
    'test_several.py',
    'test_configs.py',
    'test_backbones.py',
    'test_benchmark_tool.py',
    'test_analysis_tools.py',
    'test_visualization.py',
    'test_export.py',
    'test_inference.py',
    'test_users_configs.py',
    'test_your_data.py',
    'test_add_a_backbone.py',
    'test_classification.py',
    'test_zoo.py',
    'test_fdconv_hosts.py',
    'test_parity.py',
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with files of few long tests: at the end they would run alone."""

    def turn(item: pytest.Item) -> int:
        name = item.path.name
        return LONGEST_FILES.index(name) if name in LONGEST_FILES else len(LONGEST_FILES)

    items.sort(key=turn)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder with real images and with numbers of the original implementations."""
    if 'MMFREQ_SHARED' not in os.environ:
        pytest.skip('MMFREQ_SHARED does not name a folder with real images and reference numbers')
    return Path(os.environ['MMFREQ_SHARED'])


@pytest.fixture(scope='session')
def reference(shared: Path) -> ModuleType:
    """Module beside the reference numbers: parameters and inputs by rule, comparisons."""
    spec = importlib.util.spec_from_file_location('reference', shared / 'fixtures/reference.py')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def mini_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered data set in both layouts: 8 training and 4 validation scenes."""
    from mmfreq.datasets.mini import render_mini_data

    folder = tmp_path_factory.mktemp('mini')
    render_mini_data(folder, num_train=8, num_val=4, size=(96, 128))
    return folder


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]
