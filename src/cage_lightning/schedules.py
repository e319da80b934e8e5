"""Learning-rate schedules, stepped once per optimisation step."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
)


def cosine(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Cosine annealing from the optimiser's learning rate to zero over the whole run (Table 5)."""
    return CosineAnnealingLR(optimizer, T_max=total_steps)


def constant(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """The optimiser's learning rate throughout."""
    return ConstantLR(optimizer, factor=1.0)


def published(
    optimizer: Optimizer, total_steps: int, batch_size: int, epochs: int, stepped: bool = True
) -> LRScheduler:
    """The schedule of the published scripts: cosine with a horizon of batch_size * epochs steps.

    The horizon counts samples of a batch where it should count steps of an epoch, so past it the
    rate rises again: lr(t) = lr / 2 * (1 + cos(pi * t / (batch_size * epochs))).

    Args:
        optimizer: Its learning rate is the peak.
        total_steps: Not used, as in those scripts.
        batch_size: Samples of a batch.
        epochs: Epochs of the run.
        stepped: False for the scripts that make the schedule and never step it.
    """
    if not stepped:
        return constant(optimizer, total_steps)
    return CosineAnnealingLR(optimizer, T_max=batch_size * epochs)


def with_warmup(schedule: LRScheduler, steps: int) -> LRScheduler:
    """Let the learning rate rise linearly over the first `steps` steps, on top of a schedule."""
    if steps == 0:
        return schedule
    rise = LinearLR(schedule.optimizer, start_factor=1 / (steps + 1), total_iters=steps)
    return ChainedScheduler([rise, schedule])
