"""A grid, or a search, that is killed once ends as if nothing had happened.

tests/faults kills them again and again, at random moments.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Command
from tests.grids import GRID, SEARCH, SLOTS, best_line, history, resumed, started, strike

SHORT = ("seed=0", "trainer.max_epochs=2", "callbacks.last.every_n_steps=1")


@pytest.mark.slow
@pytest.mark.usefixtures("only_png")
@pytest.mark.timeout(1200)
def test_a_grid_that_is_killed(
    command: Command, tmp_path: Path, demo_root: Path, few_faces: Path
) -> None:
    grid = (*GRID, *SHORT, f"data.root={few_faces}")
    # In this process, one after the other: the results are the same.
    command("train", *grid, "runs=undisturbed", "hydra/launcher=basic")
    strike("everything", started(grid, tmp_path, demo_root), tmp_path)
    assert len([*tmp_path.rglob("killed/**/metrics.json")]) < 3
    command("train", *grid, SLOTS, "runs=killed")
    assert resumed(tmp_path / "killed") > 0
    assert "3 jobs: 3 skipped" in command("train", *grid, SLOTS, "runs=killed").stdout
    for runs in ("undisturbed", "killed"):
        command("collect", "table=table6", f"runs={runs}", f"output={runs}")
    tables = [(tmp_path / runs / "results.csv").read_bytes() for runs in ("undisturbed", "killed")]
    assert tables[0] == tables[1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_search_that_is_killed(
    command: Command, tmp_path: Path, demo_root: Path, few_faces: Path
) -> None:
    fewer = ("hydra.sweeper.n_trials=4", "callbacks.last.every_n_steps=1")
    search = (*SEARCH, *fewer, f"data.root={few_faces}")
    undisturbed = command("train", *search, "runs=undisturbed", "hydra/launcher=basic")
    strike("everything", started(search, tmp_path, demo_root), tmp_path)
    last = command("train", *search, SLOTS, "runs=killed")
    assert history(tmp_path / "killed") == history(tmp_path / "undisturbed")
    assert {row[1] for row in history(tmp_path / "killed")[1:]} == {"finished", "pruned"}
    assert best_line(last.stdout) == best_line(undisturbed.stdout)
    assert resumed(tmp_path / "killed") > 0
    assert "jobs: " not in command("train", *search, SLOTS, "runs=killed").stdout
