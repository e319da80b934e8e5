"""A training that is stopped at any moment, however often, ends as if it had not been stopped.

tests/faults stops it at every third call of a hook and many times in a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stopped_training import BATCHES, BLOWS, EPOCHS, SETTINGS, stopped

pytestmark = [
    pytest.mark.slow,
    # These loaders need no workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty.*"),
]


@pytest.mark.parametrize(("every_n_steps", "accumulated"), SETTINGS)
@pytest.mark.parametrize("blow", BLOWS)
def test_stopped_in_the_middle_and_at_its_end(
    tmp_path: Path, blow: Callable[[], None], every_n_steps: int, accumulated: int
) -> None:
    settings = (blow, every_n_steps, accumulated)
    undisturbed = stopped(tmp_path / "undisturbed", *settings)
    assert undisturbed.step == math.ceil(BATCHES / accumulated) * EPOCHS
    total = undisturbed.moments
    once, often = [(total // 2, True)], [(total // 3, False), (total // 4, True), (2, True)]
    for name, moments in (("once", once), ("often", often)):
        got = stopped(tmp_path / name, *settings, *moments)
        assert got.same_as(undisturbed), moments
