"""Two processes (gloo, CPU) train the same run as one at the same global batch."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from tests.conftest import TINY, Command

TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")

# AdamW divides by the gradient's own size: it blows up the rounding of gradients that are near 0.
SGD = ("optimizer._target_=torch.optim.SGD", "optimizer.lr=3e-4")


def losses(run: Path) -> list[float]:
    with (run / "csv/version_0/metrics.csv").open() as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["combined", "va"])
def test_two_processes_train_like_one(command: Command, tmp_path: Path, loss: str) -> None:
    # Batches of 31 are shared out unevenly; the hold-out and the test split are odd in number.
    settings = (*TINY, f"loss={loss}", "data.batch_size=31", "trainer.log_every_n_steps=1", *SGD)
    command("train", *settings, "runs=one")
    command("train", *settings, "runs=two", *TWO, process="forked")
    name = f"default/demo8-tiny-{loss}-s0"
    one, two = tmp_path / "one" / name, tmp_path / "two" / name

    assert losses(two) == pytest.approx(losses(one), rel=1e-5)
    weights = [torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (one, two)]
    for key, expected in weights[0]["state_dict"].items():
        torch.testing.assert_close(weights[1]["state_dict"][key], expected, rtol=1e-4, atol=1e-6)

    results = [json.loads((run / "metrics.json").read_text()) for run in (one, two)]
    assert results[1]["test/n"] == results[0]["test/n"] == 63  # nobody counts twice
    for key in ("test/ccc_valence", "test/rmse_arousal", "test/ccc_pooled"):
        assert results[1][key] == pytest.approx(results[0][key], abs=1e-5)
    assert results[1]["meta"]["device"]["count"] == 2

    again = command("train", *settings, "runs=two", *TWO, process="forked")
    assert "finished already" in again.stderr
