"""A run that hangs ends with the stacks of its threads, and goes on when it is typed again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from cage_lightning.callbacks.step_timeout import EXIT_CODE
from cage_lightning.data.face_dataset import Batches
from cage_lightning.labels import Batch
from tests.conftest import TINY, Command

RUN = "runs/default/demo8-tiny-combined-s0"
FOR_EVER_S = 300
SETTINGS = (*TINY, "data.batch_size=16", "model.image_size=32", "callbacks.last.every_n_steps=1")


class Stop(Callback):
    """Stop the second of two ranks before a step, unless the marker says that it was."""

    def __init__(self, step: int, marker: str) -> None:
        self.step, self.marker = step, Path(marker)

    def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
        here = trainer.global_rank == 1 and trainer.global_step == self.step
        if here and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGSTOP)


def test_a_loader_that_hangs(
    command: Command, few_faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of the loader is a fork, in which the change holds as well."""
    read, batches = Batches.__getitems__, iter(range(100))

    def hanging(samples: Batches, numbers: Sequence[int]) -> Batch:
        if next(batches) == 2:
            time.sleep(FOR_EVER_S)
        return read(samples, numbers)

    monkeypatch.setattr(Batches, "__getitems__", hanging)
    bound = "callbacks.step_timeout.seconds=1"
    settings = (*SETTINGS, f"data.root={few_faces}", "data.num_workers=1", bound)
    hung = command("train", *settings, check=False, process="forked")

    assert hung.returncode == EXIT_CODE == 75
    [line] = [line for line in hung.stderr.splitlines() if line.startswith("error: ")]
    error = line.removeprefix("error: ")
    assert "nothing has moved for 1 s on rank 0 in the training, step 3, epoch 1: " in error
    assert error.endswith(f"goes on from the last save; {bound[:-1]}N waits longer")
    assert "in hanging" in hung.stderr  # of the loader's process
    run = tmp_path / RUN
    assert (run / "error.txt").read_text() == f"{error}\n"
    assert error in (run / "train.log").read_text()
    assert "_next_data" in (run / "stacks-rank0.txt").read_text()
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 2


@pytest.mark.slow
def test_a_rank_that_is_stopped(command: Command, few_faces: Path, tmp_path: Path) -> None:
    stop = f"+callbacks.stop={{_target_: {__name__}.Stop, step: 2, marker: '{tmp_path / 'once'}'}}"
    two = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    settings = (*SETTINGS, f"data.root={few_faces}", *two, stop)
    hung = command(
        "train", *settings, "callbacks.step_timeout.seconds=3", check=False, process="forked"
    )

    assert hung.returncode == EXIT_CODE, hung.stderr
    run = tmp_path / RUN
    assert "on rank 0 in the training, step 3, epoch 1" in (run / "error.txt").read_text()
    # A stopped rank shows nothing, and is ended.
    assert [file.name for file in run.glob("stacks-*")] == ["stacks-rank0.txt"]
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
    command("train", *settings, process="forked")
    assert (run / "metrics.json").is_file()
