"""The real command on drawn scenes, without a release, from start to finish."""

from __future__ import annotations

import json
from pathlib import Path

from cage_lightning.labels import EMOTIC
from cage_lightning.prediction_files import read_predictions
from tests.conftest import TINY, Command

SCENES = tuple(setting.replace("data=demo8", "data=demo_emotic") for setting in TINY)


def test_a_run_from_start_to_finish(command: Command, tmp_path: Path) -> None:
    done = command("train", *SCENES, "loss=combined")
    assert "53 to report" in done.stderr
    run = tmp_path / "runs/default/demo_emotic-tiny-combined-s0"
    metrics = json.loads((run / "metrics.json").read_text())
    for dimension in EMOTIC.dimensions:
        assert f"test/ccc_{dimension}" in metrics
    assert 0 < metrics["test/map"] <= 1
    assert metrics["meta"]["selection"]["split"] == "val"
    assert metrics["meta"]["data"]["test"]["left_out"] == {"no category": 1}
    predictions = read_predictions(run / "predictions.parquet")
    assert predictions.space == EMOTIC
    assert len(predictions) == metrics["test/n"] == 53


def test_a_va_run_is_not_balanced(command: Command) -> None:
    done = command("train", *SCENES, "loss=va", "trainer.fast_dev_run=true")
    assert "it works" in done.stderr
