"""A run that goes on with other numbers of devices and loader processes sees the same batches."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from cage_lightning.labels import Batch
from tests.conftest import TINY, Command
from tests.integration.test_ddp import SGD, TWO

RUN = "default/demo8-tiny-combined-s0"
STEPS = 8


class Seen(Callback):
    """Keeps the samples and the loss of each step, and leaves after some steps, once after each."""

    def __init__(self, folder: str, leave_after: list[int]) -> None:
        self.folder, self.leave_after = Path(folder), leave_after

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        step = trainer.global_step
        with (self.folder / f"samples-{step}").open("a") as file:
            file.write("".join(f"{index} " for index in batch.index.tolist()))
        if trainer.is_global_zero:
            (self.folder / f"loss-{step}").write_text(f"{outputs['loss'].item()!r}")
            left = self.folder / f"left-{step}"
            if step in self.leave_after and not left.exists():
                left.touch()
                os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
def test_other_devices_and_loaders(command: Command, few_faces: Path, tmp_path: Path) -> None:
    settings = (
        *(*TINY, f"data.root={few_faces}", "model.image_size=32"),
        *("data.batch_size=16", *SGD),
    )

    def train(runs: str, *more: str, code: int = 0, process: str = "here") -> None:
        (seen := tmp_path / f"{runs}-seen").mkdir(exist_ok=True)
        steps = [3, 6] if runs == "moved" else []
        node = f"{{_target_: {__name__}.Seen, folder: '{seen}', leave_after: {steps}}}"
        line = (*settings, f"runs={runs}", f"+callbacks.seen={node}", *more)
        done = command("train", *line, check=False, process=process)
        assert done.returncode == code, done.stderr

    train("alone")
    train("moved", code=143)
    train("moved", *TWO, "data.num_workers=1", code=143, process="forked")
    train("moved", "data.num_workers=2")

    alone, moved = (tmp_path / name / RUN for name in ("alone", "moved"))
    for step in range(1, STEPS + 1):
        samples, losses = (
            [(tmp_path / f"{name}-seen/{what}-{step}").read_text() for name in ("moved", "alone")]
            for what in ("samples", "loss")
        )
        assert sorted(samples[0].split()) == sorted(samples[1].split())
        assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
    states = [
        torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (alone, moved)
    ]
    assert states[1]["global_step"] == STEPS
    for key, expected in states[0]["state_dict"].items():
        torch.testing.assert_close(states[1]["state_dict"][key], expected, rtol=1e-4, atol=1e-6)
