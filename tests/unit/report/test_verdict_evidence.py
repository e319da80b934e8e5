"""What finished runs have of the numbers that the paper prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8
from cage_lightning.predictions.files import write_predictions
from cage_lightning.report.published import claims, printed
from cage_lightning.report.runs import Run
from cage_lightning.report.verdicts import verdicts
from cage_lightning.report.verdicts.evidence import Evidence, kept_epoch
from cage_lightning.report.verdicts.rules import Verdict
from cage_lightning.system.atomic import write_csv
from tests.fabricated_runs import runs_with
from tests.prediction_samples import of_affect
from tests.verdict_cases import (
    COMBINED,
    CONTRADICTED,
    NOT_TESTED,
    PARTIAL,
    REPRODUCED,
    VA,
    by_name,
    f1,
)


def test_the_test_split_has_to_be_that_of_the_paper() -> None:
    for n, expected in (
        (3999, REPRODUCED),
        (4000, REPRODUCED),
        (3998, NOT_TESTED),
        (100, NOT_TESTED),
    ):
        assert (
            f1(runs_with({"f1_weighted": 0.62}, COMBINED, "published_code", n=n)).verdict
            == expected
        )
    judged = f1(runs_with({"f1_weighted": 0.62}, COMBINED, "published_code", n=100))
    assert judged.reason == "The test split has 100 samples instead of 3,999 or 4,000."


@pytest.mark.parametrize("value", ["0.6", None, float("nan"), float("inf"), [0.6], {}])
def test_what_is_no_number_is_no_value(value: Any) -> None:
    runs = runs_with({"f1_weighted": 0.62}, COMBINED, "published_code")
    strange = [replace(run, metrics={**run.metrics, "test/f1_weighted": value}) for run in runs]
    assert f1(strange).reason == "No such run has a value of f1_weighted."
    strange = [replace(run, metrics={**run.metrics, "test/n": value}) for run in runs]
    assert f1(strange).reason.startswith("The test split has an unknown number of samples")
    for meta in (value, {"selection": value}, {"selection": {"metric": "x", "mode": value}}):
        assert kept_epoch(replace(runs[0], metrics={"meta": meta})) is None
    assert f1([replace(run, config={**run.config, "augment": {"steps": value}}) for run in runs])


@pytest.mark.parametrize(
    "changed",
    [
        {"optimizer.lr": 5e-5},
        {"loss.alpha": 1.0},
        {"data.selection": "holdout"},
        {"model.weights": "none"},
        {"trainer.limit_train_batches": 0.5},
        {"init_from": "other.pt"},
        {"augment": {"steps": []}},
    ],
)
def test_a_setting_of_the_protocol_counts(changed: dict[str, Any]) -> None:
    scores = {"f1_weighted": 0.621}
    judged = f1(runs_with(scores, COMBINED, "published_code", changed=changed))
    assert judged.verdict == PARTIAL
    (key,) = changed
    assert f"protocol=published_code ({key[:7]}" in judged.reason
    assert (
        f1(runs_with(scores, COMBINED, "published_code", changed={"other.setting": 3})).verdict
        == REPRODUCED
    )


def test_what_starts_from_nothing_does_not_follow_the_protocol() -> None:
    scores = {"rmse_pooled": printed("table6")[VA]["rmse_pooled"]}
    for start, expected in (("any.ckpt", REPRODUCED), (None, PARTIAL)):
        runs = runs_with(scores, VA, "published_code", changed={"init_from": start})
        found = by_name(verdicts("table6", runs))
        assert found[f"rmse_pooled of {VA}"].verdict == expected


def test_those_runs_count_that_follow_the_protocol() -> None:
    right = runs_with({"f1_weighted": 0.621}, COMBINED, "published_code")
    wrong = runs_with({"f1_weighted": 0.5}, COMBINED, "paper", seeds=9)
    assert f1(wrong, right).verdict == f1(right, wrong).verdict == REPRODUCED
    # Runs of different settings are not seeds of each other.
    rates = [
        runs_with(
            {"f1_weighted": 0.621}, COMBINED, "published_code", 3, changed={"optimizer.lr": rate}
        )
        for rate in (1e-5, 2e-5)
    ]
    assert "mean of 3 seeds" in f1(*rates).reason
    # Nor is a copy of a run, whatever was made of it.
    copies = runs_with({"f1_weighted": 0.9}, COMBINED, "published_code", 3, root=Path("copies"))
    assert f1(right[:3], copies).reason.startswith("The mean of 3 seeds is 0.621,")


def test_gains_are_paired_by_seed() -> None:
    discrete = COMBINED._replace(loss="discrete")
    gained = runs_with({"f1_weighted": [0.5, 0.7, 0.6]}, COMBINED, "paper", 3)
    base = runs_with({"f1_weighted": [0.4, 0.6, 0.4]}, discrete, "paper", 3)
    seven = next(part for part in claims("table6")[0].parts if part.row == COMBINED)
    found = Evidence(gained + base[1:]).of(seven, "paper")
    assert found.values == pytest.approx((0.1, 0.2))
    assert "no seed has a run of" in Evidence(gained[:1] + base[1:]).of(seven, "paper").missing
    assert Evidence(gained).of(seven, "paper").missing == f"no run of {discrete} is finished"
    # One of the two rows is enough to leave the protocol.
    other = runs_with({"f1_weighted": 0.5}, discrete, "published_code", 3)
    assert Evidence(gained + other).of(seven, "paper").lacking.startswith("optimizer.lr")


def log_of(run: Run, start: int, **values: list[float]) -> None:
    ((key, numbers),) = values.items()
    first = 0 if start == 0 else 2
    rows = [{"epoch": first + i, "step": i, f"val/{key}": v} for i, v in enumerate(numbers)]
    write_csv(
        run.folder / f"csv/version_{start}/metrics.csv", ("epoch", "step", f"val/{key}"), rows
    )


def test_the_epoch_that_was_kept(tmp_path: Path) -> None:
    (run,) = runs_with({}, COMBINED, "published_code", 1, root=tmp_path)
    assert kept_epoch(run) is None
    for mode, expected in (("min", 1), ("max", 3)):
        chosen = {"selection": {"metric": "val/loss", "mode": mode}}
        run = replace(run, metrics={**run.metrics, "meta": chosen})
        # The second start took the run up at its third epoch.
        log_of(run, 0, loss=[0.9, 2.0, 0.1, 0.2])
        log_of(run, 1, loss=[4.0, 1.0, 2.0])
        assert kept_epoch(run) == expected
    log_of(run, 1, accuracy=[0.5])
    (run.folder / "csv/version_0/metrics.csv").write_text("epoch,step,val/loss\n0,1,x\n")
    with pytest.raises(DataError, match=r"version_0.*'x'"):
        kept_epoch(run)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        ((5,) * 6, REPRODUCED),
        ((6,) * 6, REPRODUCED),
        ((7,) * 6, CONTRADICTED),
        ((3, 8) * 3, PARTIAL),
    ],
)
def test_the_best_epoch(tmp_path: Path, epochs: tuple[int, ...], expected: Verdict) -> None:
    runs = []
    for run, epoch in zip(
        runs_with({}, COMBINED, "published_code", root=tmp_path), epochs, strict=True
    ):
        chosen = {"selection": {"metric": "val/loss", "mode": "min"}}
        runs.append(replace(run, metrics={**run.metrics, "meta": chosen}))
        log_of(run, 0, loss=[float(abs(i + 1 - epoch)) for i in range(20)])
    assert by_name(verdicts("table6", runs))["best epoch (combined)"].verdict == expected


@pytest.mark.parametrize(("share", "expected"), [(0.8, REPRODUCED), (0.77, CONTRADICTED)])
def test_the_share_within_an_error(tmp_path: Path, share: float, expected: Verdict) -> None:
    runs = runs_with({}, COMBINED, "published_code", root=tmp_path)
    error = np.where(np.arange(100) < 100 * share, 0.3, 0.31)
    true = np.full((100, 2), 0.25)
    for run in runs:
        run.folder.mkdir(parents=True)
        write_predictions(
            run.folder / "predictions.parquet", of_affect(AFFECTNET_8, true + error[:, None], true)
        )
    found = by_name(verdicts("table7", runs))
    assert found["within 0.3 (combined)"].verdict == expected
    assert found["within 0.3 (combined)"].measured == f"{share:g}, {share:g}"
    assert found["within 0.3 (va)"].reason == "No such run is finished."


def test_what_has_no_value_on_emotic_generalises_nowhere(tmp_path: Path) -> None:
    for scores, expected in (
        ((0.379, 0.369), CONTRADICTED),
        ((0.26, 0.33), REPRODUCED),
        ((0.26, 0.369), PARTIAL),
    ):
        runs = runs_with({}, VA, "paper", root=tmp_path)
        for run in runs:
            place = run.folder / "evaluations/emotic/metrics.json"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(
                '{{"test/n": 7203, "test/rmse_valence": {}, "test/rmse_arousal": {}}}'.format(
                    *scores
                )
            )
        (judged,) = verdicts("figure11", runs).judged
        assert judged.verdict == expected
    (judged,) = verdicts("figure11", runs_with({}, VA, "paper")).judged
    assert judged.reason == "No such run was evaluated on emotic."
    # An evaluation on drawn scenes, whatever its folder is called.
    place.write_text('{"test/n": 7203, "meta": {"data_set": {"name": "demo_emotic"}}}')
    (judged,) = verdicts("figure11", runs[-1:]).judged
    assert judged.reason == "No such run was evaluated on emotic."
