"""The decision to end a run early, and the files that carry it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cage_lightning.errors import ConfigError, DataError
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.pruning import (
    Compared,
    Mode,
    Pruned,
    Pruning,
    mark_pruned,
    read_pruned,
    read_pruning,
)

NAN = math.nan
PLAIN: dict[str, Any] = Pruning("g/s", 7, "min", "best", {2: 1.0}).plain()


@pytest.mark.parametrize(
    ("mode", "compared", "bounds", "values", "after"),
    [
        ("min", "best", {}, [9.0, 9.0], None),
        ("min", "best", {2: 1.0}, [9.0], None),
        ("min", "best", {2: 1.0}, [9.0, 1.0], None),  # as good as the bound
        ("min", "best", {2: 1.0}, [9.0, 1.1, 0.5], 2),
        ("min", "best", {2: 1.0}, [0.9, 5.0], None),
        ("min", "latest", {2: 1.0}, [0.9, 5.0], 2),
        ("max", "best", {1: 1.0, 2: 2.0}, [1.5, 1.0], 2),
        ("max", "latest", {1: 1.0, 3: 1.0}, [1.5, 0.0, 2.0], None),
        ("min", "best", {1: 1.0}, [NAN], 1),
        ("min", "best", {2: 1.0}, [0.5, NAN], None),
        ("max", "best", {2: 1.0}, [NAN, 1.5], None),
        ("min", "latest", {2: 1.0}, [0.5, NAN], 2),
    ],
)
def test_when_a_trial_is_pruned(
    mode: Mode,
    compared: Compared,
    bounds: Mapping[int, float],
    values: Sequence[float],
    after: int | None,
) -> None:
    pruning = Pruning("g/s", 0, mode, compared, bounds)
    assert pruning.pruned_after(values) == after
    # Wherever it is interrupted, the first validation that decides is the same.
    seen = [pruning.pruned_after(values[:end]) for end in range(len(values) + 1)]
    assert {*seen} <= {None, after}


def test_what_a_search_writes_is_read_again(tmp_path: Path) -> None:
    pruning = Pruning("default/search", 7, "max", "latest", {1: 1 / 3, 3: -2e-9})
    pruning.write(tmp_path / "search/7.json")
    assert read_pruning(str(tmp_path / "search/7.json")) == pruning
    with pytest.raises(ConfigError, match="there is no such file; a search writes it"):
        read_pruning(str(tmp_path / "search/8.json"))


def test_the_mark_is_there_until_the_run_goes_on(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert (read_pruned(folder), folder.ended) == (None, False)
    pruned = Pruned(Pruning("default/search", 7, "min", "best", {2: 1.0}), (3.0, 1.5))
    mark_pruned(folder, pruned)
    assert (read_pruned(folder), folder.ended) == (pruned, True)
    assert (folder.finished, folder.stage) == (False, "new")
    folder.metrics_file.write_text("{}")
    assert read_pruned(folder) is None
    folder.metrics_file.unlink()
    folder.sweep_up()
    assert (read_pruned(folder), folder.ended) == (None, False)


WRONG: tuple[dict[str, Any], ...] = (
    {"search": 1},
    {"trial": -1},
    {"trial": True},
    {"mode": "up"},
    {"compared": None},
    {"bounds": []},
    {"bounds": {"x": 1.0}},
    {"bounds": {"1": "1"}},
)


@pytest.mark.parametrize(
    "content", ["", "[]", "[" * 100_000, *(json.dumps(PLAIN | wrong) for wrong in WRONG)]
)
def test_what_is_no_comparison_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "7.json"
    file.write_text(content)
    with pytest.raises(DataError, match=str(file)):
        read_pruning(str(file))
    folder = RunFolder(tmp_path)
    folder.pruned_file.write_text(content)
    with pytest.raises(DataError, match=r"pruned\.json"):
        read_pruned(folder)


@pytest.mark.parametrize("values", [None, [], [True], ["1"], {"1": 2}])
def test_a_mark_without_validations_is_named(tmp_path: Path, values: object) -> None:
    folder = RunFolder(tmp_path)
    folder.pruned_file.write_text(json.dumps(PLAIN | {"validations": values}))
    with pytest.raises(DataError, match=r"pruned\.json says nothing of a trial"):
        read_pruned(folder)
