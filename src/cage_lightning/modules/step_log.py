"""The losses of the steps of a training, and which of them are logged.

Lightning takes longer to log one value than a small network for a layer. Those of a step are logged
where somebody looks at them: the loggers write every ``trainer.log_every_n_steps``-th step alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
    Timer,
)
from torch import Tensor

_OF_A_STEP = "train/"


class StepLog:
    """The losses of the last step.

    Attributes:
        loss: Their sum; None before the first step.
    """

    def __init__(self) -> None:
        self.loss: float | None = None
        self._parts: dict[str, Tensor] = {}
        self._is_read = True

    def begin(self, trainer: Trainer) -> None:
        """See whether a callback reads the losses of every step."""
        self._is_read = any(map(may_read, trainer.callbacks))  # type: ignore[attr-defined]

    def keep(self, module: LightningModule, loss: float, parts: dict[str, Tensor]) -> None:
        """Take the losses of a step: ``loss`` and its named parts."""
        self.loss = loss
        self._parts = {name: value.detach() for name, value in parts.items()}
        if self._is_read:
            self._log(module)

    def end(self, module: LightningModule) -> None:
        """Log a step that is written, or the last one of an epoch; after all callbacks."""
        trainer = module.trainer
        is_written = trainer._logger_connector.should_update_logs or trainer.fast_dev_run  # type: ignore[attr-defined]
        # A step whose loss was not finite may have been passed over, the first one as well.
        if self._parts and not self._is_read and (is_written or trainer.is_last_batch):
            self._log(module)

    def _log(self, module: LightningModule) -> None:
        module.log("train/loss", self._parts["loss"], prog_bar=True)
        others = {f"train/{name}": v for name, v in self._parts.items() if name != "loss"}
        module.log_dict(others)


def may_read(callback: Callback) -> bool:
    """Whether a callback may read the losses of a step: an enabled bar, or one not known here."""
    if type(callback).__module__.startswith("cage_lightning."):
        return False
    if isinstance(callback, ProgressBar):
        return not getattr(callback, "is_disabled", False)
    if type(callback) in (EarlyStopping, ModelCheckpoint):
        names = (getattr(callback, "monitor", None), getattr(callback, "filename", None))
        return any(_OF_A_STEP in str(name) for name in names)
    return type(callback) not in (EMAWeightAveraging, LearningRateMonitor, Timer)


@dataclass
class EpochLosses:
    """The losses of the steps of an epoch."""

    epoch: int = -1
    steps: int = 0
    sum: float = 0.0

    def after(self, epoch: int, loss: float) -> EpochLosses:
        """The same with one more step."""
        before = self if epoch == self.epoch else EpochLosses(epoch)
        return EpochLosses(epoch, before.steps + 1, before.sum + loss)

    @property
    def mean(self) -> float | None:
        """Of the steps so far; None before the first one."""
        return self.sum / self.steps if self.steps else None
