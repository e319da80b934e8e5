"""A run that is killed in the middle or at its end, with whatever works of Lightning."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Train
from tests.faults.record import NewRow
from tests.integration.test_course import check_choice, named
from tests.integration.test_exact_resume import EVERY, Alone, check_killed_run

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


def test_a_killed_run_ends_as_an_undisturbed_one(
    train_here: Train, few_faces: Path, tmp_path: Path, new_row: NewRow
) -> None:
    undisturbed: Alone = {}
    end = "weights, metrics and log of epochs equal"
    with new_row("killed before a step or at the end, by setting", "train", end) as row:
        for case, step in EVERY:
            with row.one(f"{case}, step {step}"):
                check_killed_run(train_here, few_faces, tmp_path, undisturbed, case, step)
            shutil.rmtree(tmp_path / "runs", ignore_errors=True)
            (tmp_path / "killed").unlink(missing_ok=True)


@pytest.mark.parametrize("loss", ["discrete", "combined", "va"])
def test_every_number_that_is_named_can_choose(
    train_here: Train, few_faces: Path, loss: str
) -> None:
    few = (f"data.root={few_faces}", f"loss={loss}")
    for name, mode in named(train_here, few).items():
        check_choice(train_here, few, name, mode)
