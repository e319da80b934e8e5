"""A training that diverges is no result, in any mode, and keeps its last good state."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from cage_lightning.commands.evaluate import evaluate
from cage_lightning.errors import ConfigError, DivergedError
from cage_lightning.labels import Batch
from cage_lightning.predictions.files import read_predictions, write_predictions
from cage_lightning.report.runs import read_runs, read_unfinished
from cage_lightning.runs.folder import RunFolder
from tests.conftest import TINY, Train, composed


class Poison(Callback):
    """Make a weight of the network NaN after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *arguments: object
    ) -> None:
        if trainer.global_step == self.step:
            next(pl_module.parameters()).data[0] = float("nan")


class Spoil(Callback):
    """Make the pictures of some steps NaN, as an overflow in half precision may do."""

    def __init__(self, steps: list[int]) -> None:
        self.steps = steps

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if trainer.global_step + 1 in self.steps:
            batch.image.fill_(float("nan"))


def spoiled(*steps: int) -> tuple[str, ...]:
    return (f"+callbacks.spoil={{_target_: {__name__}.Spoil, steps: {[*steps]}}}",)


def poisoned(step: int) -> str:
    return f"+callbacks.poison={{_target_: {__name__}.Poison, step: {step}}}"


@pytest.mark.parametrize(
    "loss", [pytest.param("discrete", marks=pytest.mark.slow), "combined", "va"]
)
def test_a_diverged_model_is_no_result_whatever_chooses_the_epoch(
    train_here: Train, tmp_path: Path, loss: str
) -> None:
    metric = "val/ccc_pooled" if loss == "va" else "val/accuracy"
    settings = (f"loss={loss}", "optimizer.lr=1e30", f"monitor.metric={metric}", "monitor.mode=max")
    with pytest.raises(DivergedError, match=r"(train|val)/loss .* is (nan|inf)") as raised:
        train_here(*settings)
    assert "the losses before it: " in str(raised.value)
    # Lightning has forgotten the gradient when it validates.
    assert ("norm of the last gradient: " in str(raised.value)) == ("train/" in str(raised.value))
    assert "lower optimizer.lr or raise warmup, under another tag=NAME" in str(raised.value)
    [error] = tmp_path.rglob("error.txt")
    assert error.read_text().strip() == str(raised.value)
    assert not [*tmp_path.rglob("metrics.json"), *tmp_path.rglob("*.ckpt")]


@pytest.mark.slow
def test_the_last_good_state_stays(train_here: Train, tmp_path: Path) -> None:
    """Steps 1 to 4 are the first epoch; the weights are NaN after step 6, which would be saved."""
    settings = ("trainer.max_epochs=3", "callbacks.last.every_n_steps=1", poisoned(6))
    for _ in range(2):  # the same command comes to the same end
        with pytest.raises(DivergedError, match="train/loss of step 7, in epoch 2, is nan") as one:
            train_here(*settings)
        shown = re.search(r"rows of the training split: (.*?), \.\.\.; norm", str(one.value))
        assert shown is not None
        [log] = tmp_path.rglob("train.log")
        assert f"its batch: rows [{shown[1]}, " in log.read_text()
        states = {
            file.name: torch.load(file, weights_only=True) for file in tmp_path.rglob("*.ckpt")
        }
        assert {name: state["global_step"] for name, state in states.items()} == {
            "best.ckpt": 4,
            "last.ckpt": 5,
        }
        weights = [w for state in states.values() for w in state["state_dict"].values()]
        assert all(weight.isfinite().all() for weight in weights)


def test_the_validation_finds_what_the_last_step_broke(train_here: Train, tmp_path: Path) -> None:
    settings = ("loss=discrete", "monitor.metric=val/accuracy", "monitor.mode=max", poisoned(4))
    with pytest.raises(DivergedError, match="val/loss after step 4, in epoch 1, is nan"):
        train_here(*settings)
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.training_step. returned .None.")
def test_so_many_steps_are_left_out_as_are_allowed(
    train_here: Train, tmp_path: Path, few_faces: Path
) -> None:
    settings = (f"data.root={few_faces}", "data.batch_size=16", "skip_not_finite=1")
    folder = train_here(*settings, *spoiled(2))
    assert folder.finished
    assert (
        "train/loss of step 2, in epoch 1, is nan; its batch: rows" in folder.log_file.read_text()
    )
    assert "the step is left out, as 1 of 1" in folder.log_file.read_text()
    assert torch.load(folder.last, weights_only=True)["skipped_steps"] == 1
    with pytest.raises(DivergedError, match=r"of step 3, .* steps left out before it: 1"):
        train_here(*settings, *spoiled(2, 3), "tag=twice")


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param("discrete", marks=pytest.mark.slow),
        "combined",
        pytest.param("va", marks=pytest.mark.slow),
    ],
)
def test_weights_that_are_not_finite_evaluate_to_nothing(
    train_here: Train, tmp_path: Path, loss: str
) -> None:
    folder = train_here(f"loss={loss}")
    checkpoint = torch.load(folder.best, weights_only=True)
    list(checkpoint["state_dict"].values())[-1][0] = float("nan")
    torch.save(checkpoint, folder.best)
    with pytest.raises(DivergedError, match=r"not finite for 63 of 63 samples \(the first: "):
        evaluate(
            composed(
                *(setting for setting in TINY if not setting.startswith(("model", "trainer.max"))),
                f"checkpoint={folder.path}",
                f"output={tmp_path / 'evaluation'}",
                config_name="evaluate",
            )
        )
    assert not (tmp_path / "evaluation").exists()
    assert json.loads(folder.metrics_file.read_text())["test/n"] == 63


@pytest.mark.slow
@pytest.mark.parametrize("column", ["probability", "affect_pred"])
def test_a_run_whose_file_holds_outputs_that_are_not_finite_is_in_no_table(
    trained: Path, tmp_path: Path, column: str
) -> None:
    """Written before a training stopped at its first such loss."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    folder = RunFolder(tmp_path / "runs/default/demo8-tiny-combined-s0")
    predictions = read_predictions(folder.path / "predictions.parquet")
    assert len(read_runs(folder.path, {})) == 1
    getattr(predictions, column)[3] = float("nan")
    write_predictions(folder.path / "predictions.parquet", predictions)
    with pytest.raises(ConfigError, match="holds no finished run"):
        read_runs(folder.path, {})
    [run] = read_unfinished(folder.path, {})
    assert "the training diverged" in str(run.error)
