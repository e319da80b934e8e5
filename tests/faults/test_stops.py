"""A training that is stopped at many calls of its hooks, once or several times in a row."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.record import NewRow
from tests.stopped_training import BLOWS, SETTINGS, asked_to_leave, killed, stopped

FAULTS = {
    asked_to_leave: "SIGTERM at a hook of a callback",
    killed: "death at a hook of a callback",
}

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty.*"),
]


@pytest.mark.parametrize(("every_n_steps", "accumulated"), SETTINGS)
@pytest.mark.parametrize("blow", BLOWS)
def test_wherever_it_is_stopped(
    tmp_path: Path,
    new_row: NewRow,
    tries: int,
    blow: Callable[[], None],
    every_n_steps: int,
    accumulated: int,
) -> None:
    settings = (blow, every_n_steps, accumulated)
    undisturbed = stopped(tmp_path / "undisturbed", *settings)
    total = undisturbed.moments
    chosen = random.Random(every_n_steps)
    once = [[(moment, chosen.random() < 0.5)] for moment in range(1, total + 1)]
    # Several stops: what one leaves behind must not mislead the next.
    often = [
        [(chosen.randint(1, total // 2), chosen.random() < 0.5) for _ in range(3)]
        for _ in range(tries)
    ]
    with new_row(FAULTS[blow], "train", "weights of both checkpoints equal") as row:
        for number, moments in enumerate(once[chosen.randrange(3) :: 3] + often):
            with row.one(f"{every_n_steps=} {accumulated=} {moments}"):
                got = stopped(tmp_path / str(number), *settings, *moments)
                assert got.same_as(undisturbed)
