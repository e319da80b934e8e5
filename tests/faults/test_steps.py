"""A step that goes wrong: too little memory, no end, a loss that is not finite."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from cage_lightning.callbacks.step_timeout import EXIT_CODE
from cage_lightning.models.tiny import TinyNetwork
from tests.faults.harness import Arm, NewBench
from tests.faults.record import NewRow

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

STEPS = 8  # of the training
FOR_EVER_S = 300
MORE_THAN_THERE_IS = 2**60  # bytes


def allocate_too_much() -> None:
    torch.empty(MORE_THAN_THERE_IS, dtype=torch.uint8)


def hang() -> None:
    time.sleep(FOR_EVER_S)


def before_a_batch(number: int, blow: Callable[[], None]) -> Arm:
    """Call `blow` before the network sees the `number`-th batch, from 1 on; others validate."""

    def arm() -> None:
        forward, count = TinyNetwork.forward, itertools.count(1)

        def struck(network: TinyNetwork, image: torch.Tensor) -> torch.Tensor:
            if next(count) == number:
                blow()
            return forward(network, image)

        TinyNetwork.forward = struck  # type: ignore[assignment]

    return arm


@pytest.mark.parametrize(
    ("fault", "blow", "code", "said"),
    [
        ("out of memory in a step", allocate_too_much, 1, "needs more memory than the device has"),
        ("step without an end", hang, EXIT_CODE, "nothing has moved for 5 s"),
    ],
)
def test_a_step_that_does_not_end(
    fault: str,
    blow: Callable[[], None],
    code: int,
    said: str,
    new_bench: NewBench,
    new_row: NewRow,
    tries: int,
) -> None:
    bench = new_bench("train", "callbacks.step_timeout.seconds=5")
    with new_row(fault, "train", f"one line; then {bench.case.equal}") as row:
        for _ in range(max(1, tries // 4)):
            place, number = bench.place(), bench.random.randint(1, STEPS)
            with row.one(f"batch {number}"):
                ended = bench.striking_itself(place, before_a_batch(number, blow))
                ended.check(code)
                assert said in ended.error, ended.error
                bench.typed_again(place)


def test_a_loss_that_is_not_finite(new_bench: NewBench, new_row: NewRow) -> None:
    """The weights are broken after a step."""
    bench = new_bench("train")
    plain = bench.case
    with new_row("weights become NaN after a step", "train", "one line, finite checkpoints") as row:
        for step in range(1, STEPS + 1):
            target = "tests.integration.test_divergence.Poison"
            poison = f"+callbacks.poison={{_target_: {target}, step: {step}}}"
            bench.case = replace(plain, arguments=(*plain.arguments, poison))
            place = bench.place()
            with row.one(f"step {step}"):
                bench.left_alone(place).check(1)
                for file in place.rglob("*.ckpt"):
                    weights = torch.load(file, weights_only=True)["state_dict"]
                    assert all(weight.isfinite().all() for weight in weights.values())
