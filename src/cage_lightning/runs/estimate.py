"""How long a run will take, from rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cage_lightning.runs.rates import Rates


@dataclass(frozen=True)
class Extent:
    """How much a run has to compute.

    Attributes:
        steps: Steps of the optimiser, in all; fewer where a callback or `trainer.max_time` ends it.
        train: Samples that the training sees, in all.
        val: Samples that the validations see, in all.
        test: Samples of the test split.
        figures: Whether figures are drawn.
        done: The share of the training that is done.
    """

    steps: int
    train: int
    val: int
    test: int
    figures: bool
    done: float = 0.0

    def after(self, steps: int) -> Extent:
        """Return what is left after so many steps."""
        return replace(self, done=min(1.0, steps / self.steps))


def extent_of(settings: Mapping[str, Any], samples: Mapping[str, int]) -> Extent:
    """Return what a training has to compute.

    Args:
        settings: Its config, resolved, as plain containers.
        samples: How many samples there are, by split.
    """
    trainer, batch = settings["trainer"], int(settings["data"]["batch_size"])
    train = limited(samples["train"], batch, trainer.get("limit_train_batches"))
    steps = math.ceil(math.ceil(train / batch) / (trainer.get("accumulate_grad_batches") or 1))
    epochs = float(trainer["max_epochs"])
    most = trainer.get("max_steps") or -1
    if 0 < most < epochs * steps:
        epochs = most / steps
    every = trainer.get("check_val_every_n_epoch") or 1
    interval = trainer.get("val_check_interval") or 1.0
    inside = 1 / interval if isinstance(interval, float) else max(1.0, train / batch / interval)
    val = limited(samples["val"], batch, trainer.get("limit_val_batches"))
    return Extent(
        steps=max(1, round(epochs * steps)),
        train=round(epochs * train),
        val=round(epochs / every * inside * val),
        test=limited(samples["test"], batch, trainer.get("limit_test_batches")),
        figures=bool(settings.get("figures")),
    )


def limited(samples: int, batch: int, limit: int | float | None) -> int:
    """Return how many samples a setting of Lightning such as ``limit_test_batches`` leaves.

    Args:
        samples: How many there are.
        batch: Those of a batch.
        limit: A number of batches, or a share of them as a float; None: all of them.
    """
    if limit is None:
        return samples
    batches = limit if isinstance(limit, int) else int(math.ceil(samples / batch) * limit)
    return min(samples, batches * batch)


def seconds(extent: Extent, rates: Rates) -> float:
    """Return how long a run takes from the start of its process to its end.

    The start, the training and its validations as far as they are left, the test, the scores, and
    the figures if there are any.
    """
    evaluated = rates.evaluation or rates.train
    left = 1 - extent.done
    training = left * extent.train / rates.train
    # Where the rate of the training contains the validations, they are not counted again.
    validations = left * extent.val / rates.evaluation if rates.evaluation else 0.0
    figures = (rates.figures_s or 0.0) if extent.figures else 0.0
    return (
        rates.start_s + training + validations + extent.test / evaluated + rates.results_s + figures
    )
