"""The notebook runs as a reader would run it, and what its text says of the numbers is so."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "from_attention_to_evidence.ipynb"


@pytest.fixture(scope="module")
def committed() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(committed: NotebookNode, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """Run from an empty folder; an error in a cell is an error here."""
    notebook = nbformat.from_dict(committed)
    folder = str(tmp_path_factory.mktemp("notebook"))
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    return notebook


def printed(notebook: NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


def pictures(notebook: NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_committed_without_outputs(committed: NotebookNode) -> None:
    nbformat.validate(committed)
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_links_of_the_notebook_lead_somewhere(committed: NotebookNode) -> None:
    text = "\n".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]
    assert links and all((NOTEBOOK.parent / link).exists() for link in links)


def test_highest_cells_lie_where_the_text_says(executed: NotebookNode) -> None:
    places = dict(re.findall(r"^(.{12}) highest cell (in|outside) the lesion$", printed(executed), re.MULTILINE))
    found = {name.strip(): place for name, place in places.items()}
    assert found == {"last layer": "outside", "all layers": "in", "gradient": "in", "integrated": "in"}


def test_hiding_says_what_the_text_says(executed: NotebookNode) -> None:
    """All layers' region is needed, its mirror image is not; the last layer's and the gradients' are not needed."""
    found = re.findall(r"^(.{24}) *(\d+) +(-?\d+\.\d\d) +(-?\d+\.\d\d)$", printed(executed), re.MULTILINE)
    table = {name.strip(): (float(own), float(mirrored)) for name, _, own, mirrored in found}
    whole, _ = table["the whole film"]
    needed, beside = table["attention, all layers"]
    assert needed > 0.5 * whole and abs(beside) < 0.5
    assert all(abs(table[name][0]) < 0.5 for name in ("attention, last layer", "gradient", "integrated"))


def test_verified_withheld_and_exposed(executed: NotebookNode) -> None:
    said = printed(executed)
    assert re.search(r"verdict: +necessary and sufficient", said)
    assert re.search(r"saliency +pleural_effusion\.right +not shown +WITHHELD", said)
    assert "honest model: The heart size is normal" in said
    assert "cheating one: The heart is enlarged" in said


def test_answers_in_chinese(executed: NotebookNode) -> None:
    assert "· 左侧大量气胸" in printed(executed)


def test_shows_pictures(executed: NotebookNode) -> None:
    assert pictures(executed) >= 6
