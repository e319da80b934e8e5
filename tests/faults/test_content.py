"""Broken files and wrong overrides in numbers that say something of how rare a failure is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cage_lightning.demo.faces.release import SIZES
from tests.conftest import Command
from tests.faults.record import NewRow
from tests.integration.test_planted_duplicates import Planted, check_card
from tests.unit.app.test_wrong_overrides import as_in_a_folder_of_its_own, survey

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

# 1,000 in all, others than those of the slow tests; the same every time.
PARTS = [("train", 150, seed) for seed in range(2, 6)] + [
    (name, 80, 2) for name in ("evaluate", "prepare", "analyze", "score", "collect")
]


def test_broken_and_copied_pictures(command: Command, tmp_path: Path, new_row: NewRow) -> None:
    """1 % of the test pictures are copies, and 0.5 % of all files are broken."""
    planted = Planted(SIZES["demo"], leaks=16, broken=48)
    end = "each of them found, and no other"
    with new_row("broken or copied pictures among 9,599", "prepare", end) as row:
        row.tries += planted.leaks + planted.broken - 1
        with row.one("all of them"):
            check_card(command, tmp_path / "data", planted)


@pytest.mark.parametrize(("name", "count", "seed"), PARTS)
def test_wrong_overrides(
    name: str,
    count: int,
    seed: int,
    tmp_path: Path,
    demo_root: Path,
    new_row: NewRow,
) -> None:
    with (
        new_row("wrong override", name, "one line, or a setting that works") as row,
        as_in_a_folder_of_its_own(tmp_path, demo_root),
    ):
        row.tries += count - 1
        with row.one(f"seed {seed}"):
            found: Counter[str] = survey(name, count, seed)
            refused = sum(n for key, n in found.items() if key.endswith("refused"))
            assert refused > count / 2, dict(found)
