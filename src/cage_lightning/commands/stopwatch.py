"""Measuring rates: how many pictures go through in a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from cage_lightning.labels import Batch


class Watch:
    """Counts pictures over a time, which begins at the first call: what is slow once is left out.

    Args:
        seconds: How long; at least two calls.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: float | None = None
        self._pictures, self._took = 0, 0.0

    def goes_on(self, pictures: int) -> bool:
        """Count a batch; whether there is time left."""
        if self._began is None:
            self._began = _now()
            return True
        self._pictures += pictures
        if time.monotonic() - self._began < self._seconds:
            return True
        self._took = _now() - self._began
        return False

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self._pictures / self._took


def _now() -> float:
    """The time when the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic()


class Stopwatch(Callback):
    """Ends a training after a time. The last whole batch, as the network got it, is kept."""

    def __init__(self, seconds: float) -> None:
        self._watch = Watch(seconds)
        self.batch: Batch | None = None

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self._watch.rate

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a step."""
        if self.batch is None or len(batch.index) >= len(self.batch.index):
            self.batch = batch
        if not trainer.should_stop:
            trainer.should_stop = not self._watch.goes_on(len(batch.index))


class Same:
    """The same batch again and again, as a loader."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return 1_000_000

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(len(self)):
            yield self._batch
