"""The notebook runs from its first cell to its last, as in a fresh kernel.

Its code cells are executed in order in this process: neither a kernel nor nbclient is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import environment
from tests.in_process import as_a_process

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "demo_faces.ipynb"


@pytest.fixture(scope="module")
def notebook() -> Any:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def code_of(notebook: Any) -> list[str]:
    cells = notebook["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_it_is_a_notebook_without_outputs(notebook: Any) -> None:
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(ids) == len(set(ids))
    for cell in notebook["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == (
            [],
            None,
        )


@pytest.mark.slow
def test_it_runs(
    notebook: Any, tmp_path: Path, demo_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    with as_a_process(tmp_path, environment(demo_root)):
        for number, code in enumerate(code_of(notebook)):
            exec(compile(code, f"cell {number}", "exec"), names)
    assert len(names["places"]) > 20
    assert len(names["predictions"]) == 63
    assert names["metrics"]["test/accuracy"] > 1 / 8
    assert "prediction:" in capsys.readouterr().out
    assert (tmp_path / "runs/notebook/demo8-tiny-combined-s0/metrics.json").is_file()
