"""The notebooks of docs/ run from the first cell to the last, and have outputs of such a run."""

from pathlib import Path

import pytest
from pages import desk

nbformat = pytest.importorskip('nbformat')  # the extra docs, with Python 3.11 or newer
NotebookClient = pytest.importorskip('nbclient').NotebookClient

NOTEBOOKS = sorted(Path('docs/notebooks').glob('*.ipynb'))


def text_of(cell):
    return ''.join(output.get('text', '') for output in cell.outputs)


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stored_and_name_no_machine(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == 'code']
    assert all(cell.execution_count for cell in cells)
    assert sum('data' in output for cell in cells for output in cell.outputs) >= 2
    assert str(Path.home()) not in path.read_text() and '/tmp/' not in path.read_text()


@pytest.mark.thorough
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_they_run(path, tmp_path, monkeypatch):
    folder = desk(tmp_path, monkeypatch)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=600, resources={'metadata': {'path': str(folder)}})
    client.execute()
    printed = '\n'.join(text_of(cell) for cell in notebook.cells if cell.cell_type == 'code')
    if path.stem == 'own_data':
        assert 'classes          12: building, sky' in printed and '3 of 3 images' in printed
        assert 'mIoU: ' in printed
    else:
        assert 'stride 32: (2, 512, 4, 4)' in printed
