"""The monitored number of every validation, by which a search may end a run early."""

from __future__ import annotations

import math
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from cage_lightning.runs.pruning import Pruned, Pruning


class Validations(Callback):
    """Keep the monitored number of every validation, and end the training that a search gives up.

    The training ends after the epoch of the validation that decided. Until then everything is as
    without the search, and the latest state is that of a training that goes on: without the search,
    the same run resumes from it.

    Args:
        metric: What is monitored.
        pruning: What it is compared with; None: nothing ends the training.
    """

    def __init__(self, metric: str, pruning: Pruning | None = None) -> None:
        self._metric, self._pruning = metric, pruning
        self._values: list[float] | None = []

    @property
    def values(self) -> tuple[float, ...]:
        """The values so far, NaN where not finite; none where an older version began the run."""
        return tuple(self._values or ())

    @property
    def pruned(self) -> Pruned | None:
        """How the search ends the run; None if it does not."""
        if self._pruning is None:
            return None
        after = self._pruning.pruned_after(self.values)
        return None if after is None else Pruned(self._pruning, self.values[:after])

    def state_dict(self) -> dict[str, Any]:
        """Return the values."""
        return {} if self._values is None else {"values": self._values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` has returned.

        Raises:
            ValueError: A value is no number.
        """
        if not all(isinstance(value, float) for value in state["values"]):
            raise ValueError("the value of a validation is no number")
        self._values = list(state["values"])

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Know of no values where a version that did not keep them has begun the run."""
        if self.state_key not in checkpoint["callbacks"]:
            self._values = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the number, before the latest state is saved."""
        if self._values is not None and not trainer.sanity_checking:
            value = float(trainer.callback_metrics[self._metric])
            self._values.append(value if math.isfinite(value) else math.nan)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the training if the search gives it up; later than the latest state is saved."""
        if self.pruned is not None and trainer.fit_loop._can_stop_early:
            trainer.should_stop = True
