"""A run that a search ends early, and what becomes of it afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cage_lightning.commands.collect import collect
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.pruning import Pruning, read_pruned
from tests.conftest import Train, composed
from tests.integration.test_exact_resume import Kill, Killed, state


def steps(folder: RunFolder) -> int:
    return int(torch.load(folder.last, weights_only=True)["global_step"])


@pytest.mark.slow
def test_a_run_that_is_pruned(train_here: Train, few_faces: Path, tmp_path: Path) -> None:
    # Four steps make an epoch; any loss is worse than the bound after the second one.
    few = (f"data.root={few_faces}", "data.batch_size=16", "trainer.max_epochs=3")
    marker = tmp_path / "killed"
    kill = f"+callbacks.kill={{_target_: {Kill.__module__}.Kill, step: -1, marker: '{marker}'}}"
    settings = (*few, kill, "callbacks.last.every_n_steps=1")
    marker.touch()
    alone = train_here(*settings, "group=alone")
    marker.unlink()
    undisturbed = state(alone)
    validations = alone.read_metrics()["meta"]["selection"]["validations"]
    assert len(validations) == 3

    pruning = Pruning("default/search", 4, "min", "latest", {2: 0.0})
    pruning.write(tmp_path / "4.json")
    searched = (*settings, f"pruning={tmp_path / '4.json'}")
    with pytest.raises(Killed):  # at its end, before it says that it was pruned
        train_here(*searched)
    for _ in range(2):  # a second time after a kill of the search itself
        folder = train_here(*searched)
        pruned = read_pruned(folder)
        assert pruned is not None
        assert (pruned.pruning, pruned.values) == (pruning, tuple(validations[:2]))
        assert (folder.finished, folder.best.is_file(), steps(folder)) == (False, True, 8)
    assert "prunes its trial 4 after validation 2" in folder.log_file.read_text()

    output = tmp_path / "report"
    runs = f"runs={tmp_path / 'runs'}"
    collect(composed("table=runs", runs, f"output={output}", config_name="collect"))
    page = (output / "page.html").read_text()
    assert "trial 4 of default/search, after validation 2" in page
    assert "1 pruned" in page
    assert "not finished" not in page

    # A search that compares otherwise decides anew, from the first validation on.
    Pruning("default/other", 0, "min", "latest", {1: 0.0}).write(tmp_path / "0.json")
    pruned = read_pruned(train_here(*settings, f"pruning={tmp_path / '0.json'}"))
    assert pruned is not None
    assert pruned.values == tuple(validations[:1])

    # The same run without a search.
    assert state(train_here(*settings)) == undisturbed
    assert not folder.pruned_file.exists()


@pytest.mark.slow
def test_a_run_of_an_older_version_is_not_pruned(
    train_here: Train, few_faces: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "killed"
    kill = f"+callbacks.kill={{_target_: {Kill.__module__}.Kill, step: 4, marker: '{marker}'}}"
    few = (f"data.root={few_faces}", "data.batch_size=16", "trainer.max_epochs=2", kill)
    with pytest.raises(Killed):
        train_here(*few)
    folder = RunFolder(next((tmp_path / "runs/default").iterdir()))
    checkpoint = torch.load(folder.last, weights_only=True)
    del checkpoint["callbacks"]["Validations"]  # it kept no values
    torch.save(checkpoint, folder.last)
    Pruning("default/search", 0, "min", "latest", {1: 0.0}).write(tmp_path / "0.json")
    train_here(*few, f"pruning={tmp_path / '0.json'}")
    assert "validations" not in folder.read_metrics()["meta"]["selection"]
