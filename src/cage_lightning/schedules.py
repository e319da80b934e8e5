"""Learning-rate schedules; the trainer steps them once per optimisation step."""

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
    """Anneal the optimiser's learning rate to zero over the run by a cosine (Table 5 of the paper).

    lr(t) = lr / 2 * (1 + cos(pi * t / total_steps)): SGDR (Loshchilov and Hutter, 2017) without its
    restarts.

    Args:
        optimizer: The optimiser; its learning rate is the peak.
        total_steps: Optimisation steps of the run.
    """
    return CosineAnnealingLR(optimizer, T_max=total_steps)


def constant(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Keep the optimiser's learning rate.

    Args:
        optimizer: The optimiser.
        total_steps: Not used; every schedule is called with it.
    """
    return ConstantLR(optimizer, factor=1.0)


def published(
    optimizer: Optimizer, total_steps: int, batch_size: int, epochs: int, stepped: bool = True
) -> LRScheduler:
    """Anneal as the published scripts do: a cosine with a horizon of batch_size * epochs steps.

    The scripts multiply the epochs by the samples of a batch where the steps of an epoch are meant.
    A longer run passes the horizon, and the learning rate rises again:
    lr(t) = lr / 2 * (1 + cos(pi * t / (batch_size * epochs))).

    Args:
        optimizer: The optimiser; its learning rate is the peak.
        total_steps: Not used, as in those scripts.
        batch_size: Samples of a batch.
        epochs: Epochs of the run.
        stepped: False for the scripts that make the schedule and never step it.
    """
    if not stepped:
        return constant(optimizer, total_steps)
    return CosineAnnealingLR(optimizer, T_max=batch_size * epochs)


def with_warmup(schedule: LRScheduler, steps: int) -> LRScheduler:
    """Multiply a schedule by a linear rise: lr(t) * min(1, (t + 1) / (steps + 1)).

    Args:
        schedule: The schedule; its learning rate at step t is lr(t).
        steps: Number of steps of the rise; with 0 the schedule is returned unchanged.
    """
    if steps == 0:
        return schedule
    rise = LinearLR(schedule.optimizer, start_factor=1 / (steps + 1), total_iters=steps)
    return ChainedScheduler([rise, schedule])
