"""Where the time of a run goes: what `dry=true` and `benchmark` compute with."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class Timing(Callback):
    """Counts the seconds and the samples of each phase of one start of a run.

    Args:
        before_s: What the process had spent before this object was made, in seconds.
    """

    def __init__(self, before_s: float) -> None:
        self._before = before_s
        self._mark = time.monotonic()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._samples: defaultdict[str, int] = defaultdict(int)

    def to_dict(self) -> dict[str, float]:
        """Return what metrics.json records of it under ``meta.timing``.

        Returns:
            Seconds: ``start_s`` until the first step, ``train_s`` (with checkpoints),
            ``validation_s``, ``test_s``, ``figures_s`` if any were drawn, and ``results_s`` for the
            rest after the training: the best weights are read, and the scores computed with their
            intervals. Samples over all devices that went through in this time: ``train_samples``,
            ``validation_samples``, ``test_samples``. And ``threads``, with how many the CPU
            computed.
        """
        self._ends("results")
        seconds = {f"{phase}_s": round(value, 3) for phase, value in self._seconds.items()}
        samples = {f"{phase}_samples": value for phase, value in self._samples.items()}
        return {**seconds, **samples, "threads": torch.get_num_threads()}

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Count the block as the drawing of figures."""
        self._ends("results")
        yield
        self._ends("figures")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The start is over."""
        self._seconds["start"] = self._before
        self._ends("start")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the samples of a step."""
        self._count("train", trainer, batch)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What came before was training."""
        self._ends("start" if trainer.sanity_checking else "train")

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the samples of a batch."""
        if not trainer.sanity_checking:
            self._count("validation", trainer, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What came before was a validation."""
        self._ends("start" if trainer.sanity_checking else "validation")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What came before was training."""
        self._ends("train")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The best weights are loaded."""
        self._ends("results")

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the samples of a batch."""
        self._count("test", trainer, batch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The test is over."""
        self._ends("test")

    def _ends(self, phase: str) -> None:
        now = time.monotonic()
        self._seconds[phase] += now - self._mark
        self._mark = now

    def _count(self, phase: str, trainer: Trainer, batch: Any) -> None:
        self._samples[phase] += len(batch.index) * trainer.world_size
