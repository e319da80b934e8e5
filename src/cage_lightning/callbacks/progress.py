"""Progress of a training: a bar on the terminal, and lines in the log."""

from __future__ import annotations

import logging
import math
import sys
import time
from datetime import timedelta
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ProgressBar, RichProgressBar, TQDMProgressBar

log = logging.getLogger(__name__)

_DRAWN_PER_S = 4
"""How often a bar is drawn in a second, 3 ms each time; Lightning's own is drawn 100 times."""


class TerminalBar(RichProgressBar):
    """A bar of Rich with the loss of the last step, which the module knows: nothing is logged."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """What stands beside the bar."""
        loss = getattr(pl_module, "step_loss", None)
        return {} if loss is None else {"train/loss": loss}


def progress_bar() -> ProgressBar:
    """Return a bar of Rich on a terminal, and a disabled bar where the output goes to a file."""
    if sys.stdout.isatty():
        return TerminalBar(refresh_rate=_DRAWN_PER_S)
    return TQDMProgressBar(refresh_rate=0)


class ProgressLog(Callback):
    """Write a line to the log after every epoch, and at intervals inside a long one.

    Args:
        every_seconds: Seconds between two lines inside an epoch.
    """

    def __init__(self, every_seconds: float) -> None:
        self.every_seconds = every_seconds
        self._written = self._began = self._epoch_began = 0.0
        self._steps = self._images = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._written = self._began = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the count of images for this epoch."""
        self._epoch_began = time.monotonic()
        self._images = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a line if the last one is `every_seconds` or more ago."""
        self._steps += 1
        self._images += len(batch.index) * trainer.world_size
        now = time.monotonic()
        if now - self._written >= self.every_seconds:
            self._written = now
            loss = getattr(pl_module, "step_loss", None)
            loss = math.nan if loss is None else loss  # no step so far was finite
            of = f"step {batch_idx + 1}/{trainer.num_training_batches}"
            line = f"{_epoch(trainer)}, {of}: train/loss {loss:.4f}"
            log.info("%s, %s, %s", line, self._pace(), self._left(trainer))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the main scores of the epoch, and the mean loss of its steps so far."""
        if trainer.sanity_checking:
            return
        shown = {
            name: value.item()
            for name, value in trainer.callback_metrics.items()
            if name in ("val/loss", "val/accuracy", "val/f1_macro", "val/map")
            or name.startswith("val/ccc_")
        }
        loss = getattr(pl_module, "epoch_loss", None)
        if loss is not None:
            shown = {"train/loss": loss} | shown
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in shown.items())
        log.info("%s: %s, %s, %s", _epoch(trainer), numbers, self._pace(), self._left(trainer))

    def _pace(self) -> str:
        """Return the images per second in this epoch so far, over all devices."""
        seconds = time.monotonic() - self._epoch_began
        return f"{self._images / seconds:.0f} images/s"

    def _left(self, trainer: Trainer) -> str:
        """Return the remaining time of the training at the pace of this process so far."""
        pace = (time.monotonic() - self._began) / max(1, self._steps)
        batches = trainer.num_training_batches
        done = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        epochs_to_come = (trainer.max_epochs or 0) - trainer.current_epoch
        steps = max(0, epochs_to_come * batches - done)
        return f"{timedelta(seconds=round(pace * steps))} left"


def _epoch(trainer: Trainer) -> str:
    return f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
