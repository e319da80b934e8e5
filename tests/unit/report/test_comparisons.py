"""Rows of a table that differ in one setting, compared with each other."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from cage_lightning.commands.collect import collect
from cage_lightning.errors import ConfigError
from cage_lightning.predictions.files import read_predictions, write_predictions
from cage_lightning.report.comparisons import SYNTHETIC, Comparisons, comparisons
from cage_lightning.report.paper_tables import TABLES
from cage_lightning.report.resampling import Drawn, Resampled, resample
from cage_lightning.report.runs import Run, read_runs
from cage_lightning.scores.groups import holm
from tests.fabricated_runs import write_run

SCORES = ("accuracy", "rmse_valence")
TABLE = replace(TABLES["runs"], main=SCORES)
DEMO = "cage_lightning.data.datasets.DemoFaces"
STEPS = np.linspace(-1, 1, 6)  # of the seeds


def of_loss(
    loss: str, accuracy: float, rmse: float, scatter: float, seeds: int = 6, **settings: object
) -> list[Run]:
    """Runs of several seeds, whose scores go up and down with the seed."""
    config = {
        "choices": {"data": "demo8", "model": "tiny", "loss": loss, "augment": "paper"},
        "data": {"_target_": DEMO},
        "loss": {"_target_": f"x.{loss}"},
    }
    signs = (1, -1) if loss == "discrete" else (-1, 1)
    return [
        Run(
            Path(f"runs/{loss}-{json.dumps(settings)}-s{seed}"),
            {**config, **settings, "seed": seed},
            {
                "test/accuracy": accuracy + signs[0] * scatter * STEPS[seed],
                "test/rmse_valence": rmse + signs[1] * scatter * STEPS[seed],
                "intervals": {},
            },
        )
        for seed in range(seeds)
    ]


def resampled(runs: Sequence[Run], split: Mapping[str, int] | None = None) -> Resampled:
    """Other samples change all runs alike, so that differences do not depend on them."""
    common = 0.02 * np.random.default_rng(0).normal(size=50)
    return Resampled(
        drawn={
            run.folder: Drawn(
                (split or {}).get(run.row.loss, 0),
                1000,
                {key: run.metrics[f"test/{key}"] + common for key in SCORES},
            )
            for run in runs
        }
    )


def compared(runs: Sequence[Run], setting: str = "loss", margin: float = 0.01) -> Comparisons:
    return comparisons(setting, margin, TABLE, runs, resampled(runs))


def test_every_outcome_with_its_sentence() -> None:
    runs = [
        *of_loss("discrete", 0.5, 0.4, 0.004),
        *of_loss("combined", 0.53, 0.4, 0.004),
        *of_loss("va", 0.52, 0.37, 0.03),
    ]
    found = {(one.pair.a, one.pair.b, one.pair.metric): one for one in compared(runs).made}
    assert len(found) == 6
    outcomes = {key: one.outcome for key, one in found.items()}
    assert outcomes == {
        ("combined", "discrete", "accuracy"): "worse",
        ("combined", "discrete", "rmse_valence"): "equivalent",
        ("combined", "va", "accuracy"): "undecided",
        ("combined", "va", "rmse_valence"): "undecided",
        ("discrete", "va", "accuracy"): "undecided",
        ("discrete", "va", "rmse_valence"): "undecided",
    }
    p = [one.pair.found.estimate.p for one in found.values()]
    assert [one.p for one in found.values()] == holm(p)
    worse = found["combined", "discrete", "accuracy"]
    # Differences of 0.03 by 0.008 x the steps: mean / (sd / sqrt(6)).
    sd = 0.008 * STEPS.std(ddof=1)
    assert worse.pair.found.estimate.error == pytest.approx(sd / 6**0.5)
    assert worse.sentence.startswith(
        "Synthetic (drawn faces): with data demo8, model tiny, the accuracy of loss discrete minus "
        "that of combined is -0.030 [-0.036, -0.024] (95 % interval over seeds and test samples; "
        "6 seeds each, paired; p < 0.001"
    )
    assert worse.sentence.endswith(", adjusted for 6 comparisons): combined is better.")
    same = found["combined", "discrete", "rmse_valence"]
    assert same.sentence.endswith(": equivalent, the difference is less than 0.01.")
    open_ = found["discrete", "va", "accuracy"]
    needed, for_margin = open_.seeds_needed
    assert needed is not None
    for_margin = for_margin and for_margin - 6
    assert open_.sentence.endswith(
        "undecided; to be found in 80 % of all cases, a difference of this size takes "
        f"{needed - 6} more seeds, and one of 0.01 takes {for_margin} more seeds."
    )


def test_an_error_is_better_where_it_is_smaller() -> None:
    runs = [*of_loss("combined", 0.5, 0.4, 0.001), *of_loss("va", 0.6, 0.3, 0.001)]
    accuracy, rmse = compared(runs).made
    assert (accuracy.outcome, rmse.outcome) == ("better", "better")
    assert rmse.pair.found.estimate.value == pytest.approx(-0.1)
    assert rmse.improvement.share == accuracy.improvement.share == 1
    assert rmse.improvement.low < 1 == rmse.improvement.high
    # What is surely smaller than the margin does not matter, although it is there.
    (first, _) = compared(runs, margin=0.2).made
    assert first.sentence.endswith(
        ": equivalent, the difference is less than 0.2, although not zero."
    )


def test_photographs_are_not_called_synthetic() -> None:
    drawn = [*of_loss("combined", 0.5, 0.4, 0.01), *of_loss("va", 0.6, 0.3, 0.01)]
    real = [replace(run, config={**run.config, "data": {"_target_": "x"}}) for run in drawn]
    for runs, said in ((drawn, True), (real, False)):
        found = compared(runs)
        assert found.drawn == said
        assert (SYNTHETIC in found.markdown()) == said
        assert all(record["synthetic"] == said for record in found.records())
        assert all(one.sentence.startswith("Synthetic") == said for one in found.made)


def test_what_cannot_be_compared_is_said() -> None:
    combined, va = of_loss("combined", 0.5, 0.4, 0.01), of_loss("va", 0.6, 0.3, 0.01)
    (reason,) = compared([*combined, *va[:1]]).not_made
    assert reason == (
        "demo8, tiny, combined and demo8, tiny, va: demo8, tiny, va has a single seed."
    )
    runs = [*combined, *va]
    other = comparisons("loss", 0.01, TABLE, runs, resampled(runs, {"va": 1}))
    assert other.made == []
    assert "they were tested on different samples" in other.not_made[0]
    unread = Resampled({va[0].folder: "a file is not there"}, resampled(runs[:-6]).drawn)
    lacking = comparisons("loss", 0.01, TABLE, runs, unread)
    assert lacking.not_made == ["demo8, tiny, combined and demo8, tiny, va: a file is not there."]
    assert "a file is not there" in lacking.markdown()
    assert lacking.summary == "0 comparisons by loss; not compared: 1"


def test_only_what_differs_in_nothing_else_is_compared() -> None:
    combined = of_loss("combined", 0.5, 0.4, 0.01, optimizer={"lr": 1.0})
    faster = of_loss("combined", 0.5, 0.4, 0.01, optimizer={"lr": 2.0})
    va = of_loss("va", 0.6, 0.3, 0.01, optimizer={"lr": 1.0})
    assert {(one.pair.a, one.pair.b) for one in compared([*combined, *faster, *va]).made} == {
        ("combined", "va")
    }
    rates = compared([*combined, *faster, *va], "optimizer.lr")
    assert {(one.pair.a, one.pair.b) for one in rates.made} == {("1", "2")}
    # Where the table does not show it, as losses never share it, it is found all the same.
    hidden = compared([*combined, *of_loss("va", 0.6, 0.3, 0.01, optimizer={"lr": 2.0})])
    assert hidden.made == []
    assert hidden.not_made[0].endswith("va: they differ also in optimizer.lr.")
    augmented = [
        replace(
            run,
            config={
                **run.config,
                "choices": {**run.config["choices"], "augment": "none"},
                "augment": {"steps": []},
            },
        )
        for run in va
    ]
    assert compared([*combined, *augmented]).not_made[0].endswith("they differ also in augment.")


def test_rows_that_differ_in_two_columns_are_no_pair() -> None:
    combined, va = of_loss("combined", 0.5, 0.4, 0.01), of_loss("va", 0.6, 0.3, 0.01)
    choices = {"data": "demo7", "model": "tiny", "loss": "va", "augment": "paper"}
    other = [replace(run, config={**run.config, "choices": choices}) for run in va]
    assert compared([*combined, *other]).not_made == ["no two rows differ in loss alone."]


def test_the_mode_and_the_run_it_starts_from_belong_to_the_loss() -> None:
    combined = of_loss("combined", 0.5, 0.4, 0.01, module={"_target_": "x.C"}, init_from=None)
    va = of_loss("va", 0.6, 0.3, 0.01, module={"_target_": "x.V"}, init_from="runs/a-s0")
    assert len(compared([*combined, *va]).made) == 2


def test_what_is_no_setting_is_refused() -> None:
    runs = [*of_loss("combined", 0.5, 0.4, 0.01), *of_loss("va", 0.6, 0.3, 0.01)]
    for setting in ("model", "nothing"):
        with pytest.raises(ConfigError, match=f"compare={setting}: .* choose one of loss"):
            compared(runs, setting)
    with pytest.raises(ConfigError, match="equivalence=0: a number above 0"):
        compared(runs, margin=0)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two losses of two seeds each on drawn faces."""
    root = tmp_path_factory.mktemp("grid") / "runs"
    for loss in ("discrete", "combined"):
        for seed in (0, 1):
            write_run(root, "data=demo8", "model=tiny", f"loss={loss}", f"seed={seed}")
    return root


def test_files_of_the_same_samples_share_their_resamples(grid: Path, tmp_path: Path) -> None:
    runs = read_runs(grid, {})
    found = resample(runs, ["accuracy", "ccc_valence"])
    group = found.group(runs[:2], "accuracy")
    assert group is not None
    assert group.resampled.mean(axis=1) == pytest.approx(group.values, abs=0.01)
    assert found.missing(runs) == ""
    # The same predictions in another order are scored on the same resamples.
    file = read_predictions(runs[0].folder / "predictions.parquet")
    moved = replace(runs[1], folder=tmp_path)
    write_predictions(tmp_path / "predictions.parquet", file.select(np.arange(100)[::-1]))
    again = resample([runs[0], moved], ["accuracy"])
    one, other = (again.drawn[folder].scores["accuracy"] for folder in (runs[0].folder, tmp_path))
    np.testing.assert_allclose(one, other)
    # Other samples are another split.
    write_predictions(tmp_path / "predictions.parquet", file.select(np.arange(50)))
    assert resample([runs[0], moved], ["accuracy"]).missing([runs[0], moved]) == (
        "they were tested on different samples"
    )
    (tmp_path / "predictions.parquet").unlink()
    assert "is not there" in resample([moved], ["accuracy"]).missing([moved])


@pytest.mark.slow
def test_collect_writes_what_it_compared(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"table": "runs", "runs": str(grid), "output": str(tmp_path), "pictures": False}
    collect(OmegaConf.create({**settings, "compare": "loss", "equivalence": 0.01}))
    with (tmp_path / "comparisons.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["metric"] for row in rows} >= {"accuracy", "ccc_valence", "ccc_arousal"}
    assert {(row["a"], row["b"], row["seeds_a"], row["paired"]) for row in rows} == {
        ("combined", "discrete", "2", "True")
    }
    text, html = ((tmp_path / name).read_text() for name in ("results.md", "page.html"))
    for shown in (text, html):
        assert "Compared by loss" in shown
        assert SYNTHETIC in shown
    assert rows[0]["sentence"] in text
    assert '<section id="comparisons"' in html
    assert rows[0]["sentence"] in " ".join(capsys.readouterr().out.split())
    with (tmp_path / "results.csv").open() as file:
        assert all(row["low"] for row in csv.DictReader(file) if row["predictor"] == "model")
    with pytest.raises(ConfigError, match="compare=loss: table=figure11 has no rows"):
        collect(OmegaConf.create({**settings, "table": "figure11", "compare": "loss"}))
    collect(OmegaConf.create({**settings, "compare": None}))
    assert 'id="comparisons"' not in (tmp_path / "page.html").read_text()
