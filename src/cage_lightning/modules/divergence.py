"""The end of a training whose loss is not finite, and what is known of it then."""

from __future__ import annotations

import logging
import math
from collections import deque

import torch
from torch import Tensor, nn

from cage_lightning.errors import ConfigError, DivergedError

log = logging.getLogger(__name__)

_LOSSES = 5  # that are remembered
_NAMED = 8  # samples that a message names, at most


class LossWatch:
    """The last losses of a training, which ends at the first one that is not finite.

    Attributes:
        skipped: How many steps were left out so far.

    Args:
        network: What is trained; the size of its gradient is told.
        samples: Of the training split, of which a repetition has a number of its own; None where
            that is not known.
        most_skipped: How many steps whose loss is not finite are left out before one ends the
            training.
    """

    def __init__(
        self, network: nn.Module, samples: int | None = None, most_skipped: int = 0
    ) -> None:
        self.most_skipped, self.skipped = most_skipped, 0
        self._network, self._samples = network, samples
        self._before: deque[float] = deque(maxlen=_LOSSES)
        self._buffers: list[Tensor] = []

    def before_step(self) -> None:
        """Keep what a step changes even if it is left out: the statistics of normalisations."""
        if self.skipped < self.most_skipped:
            self._buffers = [buffer.clone() for buffer in self._network.buffers()]

    def of_step(self, loss: Tensor, name: str, index: Tensor) -> float | None:
        """The loss of a step as a number; None where the step is to be left out.

        Args:
            loss: That of the whole batch.
            name: What messages call it: the step and the epoch.
            index: The numbers of the samples in this rank's share of the batch, int64 ``[B]``.

        Raises:
            DivergedError: It is not finite, and no step may be left out any more.
        """
        # Waits for the forward pass on a GPU. The backward pass, queued next, takes it longer than
        # the host needs for the step that follows, so the GPU does not run dry.
        value = loss.item()
        if math.isfinite(value):
            self._before.append(value)
            return value
        rows: list[int] = (index if self._samples is None else index % self._samples).tolist()
        log.warning("%s, is %s; its batch: rows %s of the training split", name, value, rows)
        if self.skipped >= self.most_skipped:
            more = ", ..." if len(rows) > _NAMED else ""
            shown = ", ".join(map(str, rows[:_NAMED]))
            raise self._diverged(name, value, [f"rows of the training split: {shown}{more}"])
        self.skipped += 1
        for buffer, kept in zip(self._network.buffers(), self._buffers, strict=True):
            buffer.copy_(kept)
        log.warning("the step is left out, as %d of %d", self.skipped, self.most_skipped)
        return None

    def of_split(self, loss: Tensor, name: str) -> None:
        """Check the loss of a whole split.

        Raises:
            DivergedError: It is not finite.
        """
        value = loss.item()
        if not math.isfinite(value):
            raise self._diverged(name, value, [])

    def _diverged(self, name: str, value: float, known: list[str]) -> DivergedError:
        if self._before:
            losses = ", ".join(f"{loss:.4g}" for loss in self._before)
            known = [f"the losses before it: {losses}", *known]
        if (norm := _gradient_norm(self._network)) is not None:
            known.append(f"norm of the last gradient: {norm:.4g}")
        if self.skipped:
            known.append(f"steps left out before it: {self.skipped}")
        about = f" ({'; '.join(known)})" if known else ""
        return DivergedError(
            f"the training diverged: {name}, is {value}{about}. Nothing was saved since, and the "
            "same command would end here again: lower optimizer.lr or raise warmup, under another "
            "tag=NAME; skip_not_finite=N leaves out up to N such steps"
        )


def _gradient_norm(network: nn.Module) -> float | None:
    """The norm of the gradient that the last step has left; None before the first one."""
    norms = [p.grad.float().norm() for p in network.parameters() if p.grad is not None]
    return torch.stack(norms).norm().item() if norms else None


def check_skipping(world_size: int, sam: float) -> None:
    """Refuse what leaving out steps does not work with.

    Raises:
        ConfigError: There are several devices, or a step has two passes.
    """
    if world_size > 1:
        raise ConfigError(
            f"skip_not_finite on {world_size} devices is refused: a step cannot be left out there; "
            "train on one device, trainer.devices=1"
        )
    if sam:
        raise ConfigError(
            f"skip_not_finite with sam={sam} is refused: a step has two passes then, of which the "
            "second may fail alone"
        )
