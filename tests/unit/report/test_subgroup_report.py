"""What is printed, written and drawn of subgroups, whatever their values are called."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cage_lightning.labels import AFFECTNET_8
from cage_lightning.report.subgroup_figure import draw_subgroups
from cage_lightning.report.subgroups import print_subgroups, write_subgroups
from cage_lightning.scores.results import results_of
from tests.prediction_samples import random_predictions

NAME = r"$\frac$ gender"
STRANGE = (r"$\frac$ [red]", "=1+\x1b[31m1")
WRITTEN = (STRANGE[0], f"'{STRANGE[1]}")  # no formula of a spreadsheet


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    file = random_predictions(AFFECTNET_8, 60)
    groups = {
        NAME: np.array(STRANGE * 30),
        "age": np.array(["Adult"] * 57 + ["Kid"] * 2 + [""]),
    }
    return results_of(replace(file, groups=groups), resamples=9, subgroups=[NAME, "age"])


def test_it_is_printed(content: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    print_subgroups(content)
    printed = capsys.readouterr().out
    assert f"by {NAME}, with 95% intervals" in printed
    assert "[red]" in printed
    assert r"=1+\x1b[31m1" in printed
    assert printed.count("by chance") == 1  # a single age is scored
    assert "not scored: fewer than 20 samples: Kid (2); not known of 1 samples" in printed
    one = content["subgroups"]["age"]["values"]["Adult"]
    low, high = one["intervals"]["accuracy"]
    assert f"{one['scores']['accuracy']:.3f}" in printed
    assert f"{low:.3f} to {high:.3f}" in printed


def test_it_is_written_and_removed(content: dict[str, Any], tmp_path: Path) -> None:
    write_subgroups(tmp_path, content)
    with (tmp_path / "subgroups.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    group = content["subgroups"][NAME]
    (gap,) = (row for row in rows if row["metric"] == "f1_macro" and row["best"])
    assert (gap["group"], gap["value"]) == (NAME, "")
    for column in ("low", "high", "by_chance", "p"):
        assert float(gap[column]) == group["gaps"]["f1_macro"][column]
    assert {row["value"] for row in rows} == {"", "Adult", *WRITTEN}
    write_subgroups(tmp_path, {})
    write_subgroups(tmp_path, {})
    assert not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("only_png")
def test_it_is_drawn(content: dict[str, Any], tmp_path: Path) -> None:
    assert draw_subgroups(tmp_path, content) == ["subgroups"]
    assert (tmp_path / "subgroups.png").is_file()
    with (tmp_path / "subgroups.csv").open(newline="") as file:
        shown = {(row["value"], row["metric"]): row["score"] for row in csv.DictReader(file)}
    metrics = ("f1_macro", "ccc_mean", "rmse_pooled")
    assert shown.keys() == {(v, m) for v in (*WRITTEN, "Adult") for m in metrics}
    adults = content["subgroups"]["age"]["values"]["Adult"]
    assert float(shown["Adult", "ccc_mean"]) == adults["scores"]["ccc_mean"]
    assert draw_subgroups(tmp_path, {}) == []


def test_what_has_no_score_is_not_drawn(tmp_path: Path) -> None:
    value = {"n": 20, "units": 20, "scores": {}, "intervals": {}}
    assert draw_subgroups(tmp_path, {"subgroups": {"age": {"values": {"Kid": value}}}}) == []
