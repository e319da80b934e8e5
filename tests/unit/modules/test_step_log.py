"""The losses of a step are logged only where somebody looks, and what is written is the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    RichProgressBar,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cage_lightning.callbacks import StepSeed, progress_bar
from cage_lightning.callbacks.progress import TerminalBar
from cage_lightning.modules.step_log import StepLog, may_read


class Model(pl.LightningModule):
    """Two losses that are others in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.step_log = StepLog()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.layer(batch).square().mean()
        self.step_log.keep(self, loss.item(), {"mse": loss / 2, "loss": loss})
        return loss

    def on_train_start(self) -> None:
        self.step_log.begin(self.trainer)

    def on_train_batch_end(self, outputs: object, batch: Tensor, batch_idx: int) -> None:
        self.step_log.end(self)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Reader(Callback):
    """A callback that reads the loss of every step."""

    def __init__(self) -> None:
        self.read: list[float] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object
    ) -> None:
        self.read.append(trainer.callback_metrics["train/loss"].item())


def logged(folder: Path, *callbacks: Callback) -> tuple[str, float, int]:
    """The file of the logger, the last loss that callbacks see, and how often one was logged."""
    torch.manual_seed(0)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        log_every_n_steps=3,
        logger=CSVLogger(folder),
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(one, ModelCheckpoint) for one in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model, times = Model(), 0
    log = model.log_dict

    def counted(values: dict[str, Tensor]) -> None:
        nonlocal times
        times += 1
        log(values)

    model.log_dict = counted  # type: ignore[method-assign, assignment]
    trainer.fit(model, DataLoader(torch.randn(7, 1)))  # type: ignore[arg-type]
    file = Path(str(trainer.log_dir)) / "metrics.csv"
    return file.read_text(), trainer.callback_metrics["train/loss"].item(), times


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_the_loggers_write_the_same_whoever_reads(tmp_path: Path) -> None:
    reader = Reader()
    every_step = logged(tmp_path / "a", reader)
    seldom = logged(tmp_path / "b", StepSeed(0))
    assert seldom[:2] == every_step[:2]
    assert len(seldom[0].splitlines()) == 1 + 14 // 3
    assert (every_step[2], seldom[2]) == (14, 14 // 3 + 2)  # and the last ones of two epochs
    assert len(set(reader.read)) == 14


@pytest.mark.parametrize(
    ("callback", "is_read"),
    [
        (Callback(), True),
        (TQDMProgressBar(), True),
        (TQDMProgressBar(refresh_rate=0), False),
        (RichProgressBar(), True),
        (TerminalBar(), False),
        (EarlyStopping("val/loss"), False),
        (EarlyStopping("train/loss"), True),
        (ModelCheckpoint(monitor="val/loss"), False),
        (ModelCheckpoint(filename="{train/loss}"), True),
    ],
)
def test_who_reads_the_losses_of_a_step(callback: Callback, is_read: bool) -> None:
    assert may_read(callback) is is_read


def test_the_bar_on_a_terminal_takes_the_loss_from_the_module() -> None:
    trainer: Any = None
    for loss, shown in ((0.5, {"train/loss": 0.5}), (None, {})):
        module: Any = SimpleNamespace(step_loss=loss)
        assert TerminalBar().get_metrics(trainer, module) == shown


def test_the_bar_on_a_terminal_is_drawn_a_few_times_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    bar = progress_bar()
    assert isinstance(bar, TerminalBar)
    assert 0 < bar.refresh_rate <= 10  # a second; each time takes 3 ms of the processor
