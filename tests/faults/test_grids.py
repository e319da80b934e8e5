"""A grid, or a search, whose processes are killed at random moments until it is finished."""

from __future__ import annotations

import itertools
import random
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Command, environment, forks
from tests.faults.record import NewRow
from tests.grids import (
    GRID,
    SEARCH,
    SLOTS,
    Victim,
    best_line,
    history,
    resumed,
    started,
    strike,
)
from tests.in_process import run_in_process

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

PAUSES = (0, 0.1, 0.2, 0.4, 0.8, 1.6)


def typed(folder: Path, data: Path, *line: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder, in this process; its jobs are forks."""
    with forks():
        done = run_in_process(line[0], line[1:], folder, environment(data))
    assert done.returncode == 0, done.stderr
    return done


def kill_until_finished(
    victims: Sequence[Victim],
    settings: Sequence[str],
    folder: Path,
    data: Path,
    moments: random.Random,
) -> int:
    """How often it was killed."""
    finished: dict[Path, int] = {}
    for number in itertools.count():
        launcher = started(settings, folder, data)
        pause, victim = moments.choice(PAUSES), victims[number % len(victims)]
        print(f"{victim} killed {pause} s after a checkpoint", flush=True)
        with suppress(subprocess.TimeoutExpired):
            launcher.wait(pause)
        strike(victim, launcher, folder)
        for file in (folder / "killed").rglob("metrics.json"):
            changed = file.stat().st_mtime_ns
            assert finished.setdefault(file, changed) == changed, f"{file} was written again"
        if launcher.returncode == 0:
            return number
    raise AssertionError


@pytest.fixture
def grid(few_faces: Path) -> tuple[str, ...]:
    """A small grid."""
    return (*GRID, f"data.root={few_faces}")


@pytest.fixture
def expected(command: Command, grid: tuple[str, ...], tmp_path: Path) -> bytes:
    """The table of the grid that was left alone."""
    # In this process, one after the other: the results are the same.
    command("train", *grid, "runs=undisturbed", "hydra/launcher=basic")
    command("collect", "table=table6", "runs=undisturbed", "output=undisturbed")
    return (tmp_path / "undisturbed/results.csv").read_bytes()


def check_table(folder: Path, data: Path, grid: tuple[str, ...], expected: bytes) -> None:
    """All runs are finished, and the table of them is the expected one."""
    last = typed(folder, data, "train", *grid, SLOTS, "runs=killed")
    assert "6 jobs: 6 skipped" in last.stdout
    assert len([*(folder / "killed").glob("*/*/metrics.json")]) == 6
    typed(folder, data, "collect", "table=table6", "runs=killed", "output=out")
    assert (folder / "out/results.csv").read_bytes() == expected


def test_a_grid(
    grid: tuple[str, ...],
    expected: bytes,
    tmp_path: Path,
    demo_root: Path,
    new_row: NewRow,
    tries: int,
) -> None:
    moments, kills, total = random.Random(5), 0, max(1, tries // 4)
    victims: tuple[Victim, ...] = ("everything", "launcher", "everything", "launcher", "job")
    with new_row("SIGKILL of launcher, job or all", "train, a grid", "table equal") as row:
        while kills < total:
            folder = tmp_path / str(kills)
            folder.mkdir()
            kills += (more := kill_until_finished(victims, grid, folder, demo_root, moments))
            row.tries += more - 1
            with row.one(f"{more} kills"):
                check_table(folder, demo_root, grid, expected)
                assert resumed(folder / "killed") > 0


def test_two_of_a_grid_at_once(
    grid: tuple[str, ...], expected: bytes, tmp_path: Path, demo_root: Path, new_row: NewRow
) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    same = ("two of the same command at once", "train, a grid", "both end; table equal")
    with new_row(*same) as row, row.one("the second after a checkpoint"):
        first = started(grid, folder, demo_root)
        second = started(grid, folder, demo_root)
        assert (first.wait(300), second.wait(300)) == (0, 0)
        check_table(folder, demo_root, grid, expected)


def test_a_search(
    command: Command,
    tmp_path: Path,
    demo_root: Path,
    few_faces: Path,
    new_row: NewRow,
    tries: int,
) -> None:
    search = (*SEARCH, f"data.root={few_faces}")
    undisturbed = command("train", *search, "runs=undisturbed", "hydra/launcher=basic")
    moments, kills, total = random.Random(7), 0, max(1, tries // 4)
    # A job that is killed leaves the search as it is: it starts again.
    victims: tuple[Victim, ...] = ("everything", "job", "launcher")
    with new_row("SIGKILL of launcher, job or all", "train, a search", "trials equal") as row:
        while kills < total:
            folder = tmp_path / str(kills)
            folder.mkdir()
            kills += (more := kill_until_finished(victims, search, folder, demo_root, moments))
            row.tries += more - 1
            runs = folder / "killed"
            with row.one(f"{more} kills"):
                last = typed(folder, demo_root, "train", *search, SLOTS, "runs=killed")
                assert "jobs: " not in last.stdout  # nothing is left to run
                assert history(runs) == history(tmp_path / "undisturbed")
                assert {trial[1] for trial in history(runs)[1:]} == {"finished", "pruned"}
                assert best_line(last.stdout) == best_line(undisturbed.stdout)
                assert resumed(runs) > 0
