"""What a search improves: by default the score that chose the epoch, never of the test split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.objective import (
    TrialResult,
    check_searchable,
    objective,
    objectives,
    returned,
)
from cage_lightning.runs.pruning import Pruned, Pruning, mark_pruned
from tests.conftest import composed

METRICS = {
    "test/accuracy": 0.5,
    "test/f1_Fear": float("nan"),
    "meta": {
        "wall_time_s": 12.5,
        "device": "cpu",
        "selection": {"split": "holdout", "metric": "val/loss", "value": 1.25},
    },
}


def config(names: object = "monitor", on_test: bool = False, selection: str = "val") -> DictConfig:
    return OmegaConf.create(
        {"objective": names, "objective_on_test": on_test, "data": {"selection": selection}}
    )


@pytest.mark.parametrize(
    ("names", "on_test", "value"),
    [
        ("monitor", False, 1.25),
        ("meta.wall_time_s", False, 12.5),
        ("test/accuracy", True, 0.5),
        (["monitor"], False, [1.25]),
        (["test/accuracy", "monitor"], True, [0.5, 1.25]),
    ],
)
def test_the_value_of_a_run(names: object, on_test: bool, value: object) -> None:
    assert objective(config(names, on_test), METRICS) == value


@pytest.mark.parametrize("names", ["test/f1", "test/f1_Fear", "meta.device", "meta", ["meta.x"]])
def test_what_is_no_number_of_the_results_is_refused(names: object) -> None:
    known = r"it has test/accuracy, meta.wall_time_s$"
    with pytest.raises(ConfigError, match=f"metrics.json has no such number; {known}"):
        objective(config(names, on_test=True), METRICS)


@pytest.mark.parametrize("name", ["monitr", "accuracy", "wall_time_s"])
def test_what_cannot_be_a_key_is_refused_before_anything_runs(name: str) -> None:
    with pytest.raises(ConfigError, match=f"objective={name}: metrics.json has no such key"):
        objectives(config(name))


@pytest.mark.parametrize("names", [None, 3, [], ["monitor", "monitor"], [1]])
def test_what_is_no_name_is_refused(names: object) -> None:
    with pytest.raises(ConfigError, match=r"give monitor, a key of metrics\.json"):
        objectives(config(names))


def test_a_score_of_epochs_is_that_of_the_monitor() -> None:
    remedy = r"monitor\.metric=val/ccc_valence monitor\.mode=min or max, with objective=monitor"
    with pytest.raises(ConfigError, match=remedy):
        objectives(config("val/ccc_valence"))


def test_the_test_split_has_to_be_asked_for() -> None:
    for name in ("test/accuracy", "contempt_dropped/accuracy"):
        with pytest.raises(ConfigError, match=f"objective={name} is a score of the test split"):
            objective(config(["monitor", name]), METRICS)
    on_test: dict[str, Any] = {"meta": {"selection": {"split": "test", "value": 1.25}}}
    assert objective(config("monitor"), on_test) is None
    assert objective(config("meta.selection.value"), on_test) is None
    assert objective(config("monitor", on_test=True), on_test) == 1.25
    with pytest.raises(ConfigError, match=r"data\.selection=test chooses the epoch"):
        check_searchable(config(selection="test"))
    check_searchable(config(selection="test", on_test=True))


def test_older_runs_have_no_value() -> None:
    assert objective(config(), {"meta": {}}) is None
    assert objective(config(["monitor"]), {}) is None


def test_by_default_it_is_what_chooses_the_epoch() -> None:
    assert objectives(composed("data=demo8")) == ("monitor",)


def test_a_search_that_may_prune_is_told_the_validations(tmp_path: Path) -> None:
    pruning = Pruning("default/search", 3, "min", "best", {2: 1.0})
    pruning.write(tmp_path / "3.json")
    given = config()
    given.run_dir, given.pruning = str(tmp_path), str(tmp_path / "3.json")

    def metrics(*validations: float | None) -> dict[str, Any]:
        return {"meta": {"selection": {"value": 0.5, "validations": [*validations]}}}

    assert returned(given, metrics(2.0, 1.0, 0.5)) == TrialResult(0.5, (2.0, 1.0, 0.5))
    assert "nan" in str(returned(given, metrics(1.0, None, 0.5)))
    # A run that was trained to its end outside the search is pruned where the search would do so.
    late = metrics(2.0, 1.5, 0.5)
    assert returned(given, late) == TrialResult(None, (2.0, 1.5), pruned=True)
    assert returned(given, {"meta": {"selection": {"value": 0.5}}}) == TrialResult(0.5, ())
    assert returned(given, None) is None  # another rank
    mark_pruned(RunFolder(tmp_path), Pruned(pruning, (2.0, 1.5)))
    assert returned(given, None) == TrialResult(None, (2.0, 1.5), pruned=True)
    given.pruning = None
    assert returned(given, late) == 0.5
