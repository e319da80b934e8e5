"""Schedules against closed forms and the published learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.optim.lr_scheduler import LRScheduler

from cage_lightning import schedules
from cage_lightning.app.nodes import build
from tests.conftest import composed


def rates(
    make: Callable[..., LRScheduler], peak: float, steps: int, **settings: int
) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    schedule = make(optimizer, steps, **settings)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return [*seen, optimizer.param_groups[0]["lr"]]


def test_cosine_falls_to_zero_over_the_run() -> None:
    seen = rates(schedules.cosine, 5e-5, 200)
    expected = [2.5e-5 * (1 + math.cos(math.pi * t / 200)) for t in range(201)]
    assert seen == pytest.approx(expected, abs=1e-12)
    assert seen[-1] == pytest.approx(0, abs=1e-12)


def test_published_oscillates() -> None:
    # AffectNet-8: 2,248 steps an epoch, horizon 128 x 20; the rate after the first seven epochs.
    seen = rates(schedules.published, 4e-5, 7 * 2248, batch_size=128, epochs=20)
    after = [round(seen[epoch * 2248] * 1e5, 2) for epoch in range(1, 8)]
    assert after == [0.14, 3.44, 1.18, 2.08, 2.67, 0.67, 3.79]


def test_the_composed_emotic_script_oscillates_as_published() -> None:
    # 727 steps an epoch, horizon 32 x 30; the rate after each of the 30 epochs.
    config = composed("protocol=published_code", "data=emotic")
    seen = rates(build(config.scheduler), config.optimizer.lr, 30 * 727)
    after = " ".join(f"{seen[epoch * 727] * 1e5:.2f}" for epoch in range(1, 31))
    assert after.replace("0.", ".") == (
        ".69 2.61 4.14 .01 4.46 2.16 1.04 4.96 .41 3.07 3.77 .09 4.71 1.71 1.43 "
        "4.83 .19 3.50 3.36 .26 4.89 1.29 1.86 4.63 .06 3.90 2.92 .50 4.98 .91"
    )


def test_constant_stays() -> None:
    assert set(rates(schedules.constant, 4e-5, 10)) == {4e-5}


def test_warmup_multiplies_the_schedule() -> None:
    def warm_cosine(optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
        return schedules.with_warmup(schedules.cosine(optimizer, steps), 10)

    seen = rates(warm_cosine, 1.0, 100)
    plain = rates(schedules.cosine, 1.0, 100)
    expected = [min(1, (t + 1) / 11) * rate for t, rate in enumerate(plain)]
    assert seen == pytest.approx(expected, abs=1e-9)
