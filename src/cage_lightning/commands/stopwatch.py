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
    """Counts pictures over a time, which begins after the first calls: what is slow once.

    Args:
        seconds: How long; at least one more call.
        left_out: How many calls are not counted; at least one.
    """

    def __init__(self, seconds: float, left_out: int = 1) -> None:
        self._seconds, self._left_out = seconds, left_out
        self._began, self._pictures, self._took = 0.0, 0, 0.0

    def goes_on(self, pictures: int) -> bool:
        """Count a batch; whether there is time left."""
        if self._left_out:
            self._left_out -= 1
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
        # A GPU loads the kernels of a step at the first one, and records a compiled one later.
        self._watch = Watch(seconds, left_out=5 if torch.cuda.is_available() else 1)
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
