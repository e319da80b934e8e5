"""The study of how often intervals contain the truth, in small, and what it found in full."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import coverage

ROOT = Path(__file__).parents[3] / "benchmarks"


def read() -> list[dict[str, Any]]:
    with (ROOT / "coverage.csv").open(encoding="utf-8") as file:
        return [
            {
                **row,
                "seeds": int(row["seeds"]),
                "experiments": int(row["experiments"]),
                "coverage": float(row["coverage"]),
                "error_rate": float(row["error_rate"]) if row["error_rate"] else None,
            }
            for row in csv.DictReader(file)
        ]


def test_the_truth_is_what_large_samples_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "PER_CATEGORY", 2000)
    found = coverage.groups(np.random.default_rng(0), 12, 2)
    for group, better in zip(found, (0.0, 0.0, coverage.BETTER, 0.0), strict=True):
        truth = coverage.truth(better)
        for metric in coverage.METRICS:
            values = group[metric].values
            error = values.std(ddof=1) / 12**0.5
            assert values.mean() == pytest.approx(truth[metric], abs=4 * error + 0.005), metric


@pytest.mark.slow
def test_a_few_experiments_tell_the_intervals_apart() -> None:
    rows = coverage.study(25, 100, (3,))
    shares = {
        method: np.mean([row["coverage"] for row in rows if row["method"] == method])
        for method in coverage.METHODS
    }
    assert 0.93 < shares[coverage.JOINT] < 0.99, shares
    assert shares["seeds alone"] < shares[coverage.JOINT] - 0.02, shares
    assert shares["samples alone"] < 0.85, shares


def test_what_the_study_found() -> None:
    rows = [row for row in read() if row["method"] == coverage.JOINT]
    assert {(row["design"], row["seeds"]) for row in rows} == {
        (design, seeds)
        for design in ("one group", "paired", "not paired")
        for seeds in coverage.SEEDS
    }
    for row in rows:
        assert row["experiments"] == 1000
        assert 0.93 <= row["coverage"] <= 0.97, row
        assert row["error_rate"] is None or row["error_rate"] <= 0.06, row
    assert (ROOT / "coverage.md").read_text(encoding="utf-8") == coverage.written(read())
