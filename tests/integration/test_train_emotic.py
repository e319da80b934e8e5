"""The real command on drawn scenes, without a release, from start to finish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cage_lightning.app import build
from cage_lightning.labels import EMOTIC
from cage_lightning.models import read_state_dict
from cage_lightning.predictions.files import read_predictions
from tests.conftest import TINY, Command, composed

SCENES = tuple(setting.replace("data=demo8", "data=demo_emotic") for setting in TINY)


@pytest.mark.slow
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
    pictures = [name.partition("#")[0] for name in predictions.id.tolist()]
    assert predictions.groups["picture"].tolist() == pictures
    assert len(set(pictures)) < 53
    assert metrics["meta"]["scores"]["resampled"] == "picture"


def test_a_va_run_is_not_balanced(command: Command) -> None:
    done = command("train", *SCENES, "loss=va", "trainer.fast_dev_run=true")
    assert "it works" in done.stderr


@pytest.mark.slow
def test_fine_tuning_from_an_affectnet_run(
    command: Command, tmp_path: Path, demo_root: Path
) -> None:
    command("train", *TINY, "loss=combined")
    faces = tmp_path / "runs/default/demo8-tiny-combined-s0"
    tuned = (*SCENES, "protocol=published_code", f"init_from={faces}", "tag=tuned")

    config = composed(*tuned, f"data.root={demo_root}/demo_emotic/tiny")
    config.run_dir = "run"
    data = build.build_data(config)
    data.setup("fit")
    before_step_0 = build.build_module(config, data).network.state_dict()
    trained = read_state_dict(faces / "checkpoints/best.ckpt")
    backbone = [name for name in trained if not name.startswith("classifier.")]
    assert len(backbone) > 20
    assert all(torch.equal(before_step_0[name], trained[name]) for name in backbone)
    assert (len(trained["classifier.2.bias"]), len(before_step_0["classifier.2.bias"])) == (10, 29)

    done = command("train", *tuned)
    assert f"{faces}/checkpoints/best.ckpt: head not loaded, it starts anew: " in done.stderr
    assert "classifier.2.bias [10] instead of [29]" in done.stderr
    metrics = json.loads(
        (tmp_path / "runs/default/demo_emotic-tiny-combined-s0-tuned/metrics.json").read_text()
    )
    assert metrics["meta"]["selection"]["metric"] == "val/bce"
    assert "test/ccc_dominance" in metrics
