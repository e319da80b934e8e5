"""Scores and predictions of two evaluations are not taken for one."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest

from cage_lightning.commands import results
from cage_lightning.commands.results import save_results
from cage_lightning.commands.score import score
from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_8
from cage_lightning.report.runs import read_runs
from cage_lightning.scores.results import SCORED, results_of
from tests.conftest import composed
from tests.fabricated_runs import write_run
from tests.prediction_samples import random_predictions


class Killed(BaseException):
    pass


def save(folder: Path, model: int) -> None:
    predictions = random_predictions(AFFECTNET_8, 30, model=(model,))
    save_results(folder, predictions, results_of(predictions, resamples=5))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path, "data=affectnet8", "model=tiny", "loss=combined")


@pytest.mark.parametrize("below", ["", "evaluations/demo8"])
def test_new_predictions_beside_old_scores_are_named(
    run: Path, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise Killed

    folder = run / below
    save(folder, 1)
    accuracy = [one.metrics["test/accuracy"] for one in read_runs(run, {})[0].evaluations]
    with monkeypatch.context() as patch:
        patch.setattr(results, "write_results", stopped)
        with pytest.raises(Killed):
            save(folder, 2)
    message = f"{folder}/metrics.json has the scores of other predictions .*predictions.parquet"
    malformed: dict[Path, str] = {}
    with suppress(ConfigError):  # where it is the run itself, nothing is left
        read_runs(run, malformed)
    assert re.match(message, malformed[folder])
    save(folder, 1)
    assert accuracy == [one.metrics["test/accuracy"] for one in read_runs(run, {})[0].evaluations]


def test_scoring_the_file_makes_them_one_again(run: Path) -> None:
    save(run, 1)
    before = (run / "metrics.json").read_bytes()
    save(run, 2)
    (run / "metrics.json").write_bytes(before)
    with pytest.raises(ConfigError, match=r"no finished run.*other predictions"):
        read_runs(run, {})
    score(
        composed(f"predictions={run / 'predictions.parquet'}", "resamples=5", config_name="score")
    )
    [again] = read_runs(run, {})
    assert again.metrics["test/accuracy"] != json.loads(before)["test/accuracy"]


def test_scores_of_earlier_versions_do_not_say_what_they_are_of(run: Path) -> None:
    save(run, 1)
    metrics = json.loads((run / "metrics.json").read_bytes())
    del metrics["meta"][SCORED]
    (run / "metrics.json").write_text(json.dumps(metrics))
    save_results(run / "elsewhere", random_predictions(AFFECTNET_8, 30), metrics)
    (run / "elsewhere" / "predictions.parquet").replace(run / "predictions.parquet")
    assert len(read_runs(run, {})) == 1
