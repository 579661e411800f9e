"""The notebook is committed without outputs, and runs from its first cell to its last."""

from pathlib import Path

import nbformat
import pytest

TOUR = Path(__file__).parent.parent / "notebooks" / "tour.ipynb"


@pytest.fixture
def tour():
    return nbformat.read(TOUR, as_version=4)


def codes(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_is_valid_and_each_cell_compiles(tour):
    nbformat.validate(tour)
    assert len(codes(tour)) >= 8
    for cell in codes(tour):
        compile(cell.source, cell.id, "exec")


def test_the_notebook_is_committed_without_outputs(tour):
    assert not any(cell.outputs or cell.execution_count for cell in codes(tour))


@pytest.mark.slow
def test_the_notebook_runs_and_draws_in_each_section(tour, tmp_path):
    from nbclient import NotebookClient

    NotebookClient(tour, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    drawn = [any("image/png" in output.get("data", {}) for output in cell.outputs) for cell in codes(tour)]
    assert drawn == [False] + [True] * (len(drawn) - 1)  # the first cell imports
    assert not list(tmp_path.iterdir())
