"""Kills inside a write and between two writes, and disks that are full at every kind of write."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cage_lightning.data.preparation import checking
from tests.faults.commands import NAMES, case
from tests.faults.harness import Bench, at_step, inside_a_file
from tests.faults.record import NewRow
from tests.faults.test_signals import EQUAL

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

FILES = "files equal, byte for byte"
_KIBIBYTE = 1024


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    few_faces: Path,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    """The command that the test names."""
    monkeypatch.setattr(checking, "PART", 8)
    monkeypatch.setattr("cage_lightning.commands.predict._PART_S", 0.0)
    return Bench(case(request.param, few_faces, trained), tmp_path / "tries", few_faces)


every_command = pytest.mark.parametrize("bench", NAMES, indirect=True)


def share(bench: Bench, tries: int) -> int:
    """A training has the most kinds of writes."""
    return tries if bench.case.name == "train" else max(1, tries // 4)


def steps(bench: Bench) -> list[str]:
    """The steps of an undisturbed command: what it flushes and renames, in order."""
    seen = bench.folder / "seen"
    seen.unlink(missing_ok=True)
    bench.striking_itself(bench.place(), at_step(0, seen)).check(0)
    return seen.read_text(encoding="utf-8").splitlines()


def drawn(bench: Bench, numbers: list[int], tries: int) -> list[int]:
    """So many of them as are to be tried, or all."""
    return sorted(bench.random.sample(numbers, min(tries, len(numbers))))


def kill_at(bench: Bench, numbers: list[int], fault: str, new_row: NewRow) -> None:
    name = bench.case.name
    with new_row(fault, name, EQUAL.get(name, FILES)) as row:
        for number in numbers:
            place = bench.place()
            with row.one(f"step {number}"):
                bench.striking_itself(place, at_step(number)).check(-signal.SIGKILL)
                bench.typed_again(place)


@every_command
def test_killed_between_two_steps_of_writing(bench: Bench, new_row: NewRow, tries: int) -> None:
    numbers = [*range(1, len(steps(bench)) + 1)]
    kill_at(
        bench,
        drawn(bench, numbers, share(bench, tries)),
        "SIGKILL before a flush or a rename",
        new_row,
    )


@pytest.mark.parametrize("bench", ["train"], indirect=True)
def test_killed_between_the_last_checkpoint_and_the_metrics(bench: Bench, new_row: NewRow) -> None:
    seen = steps(bench)
    last = max(n for n, step in enumerate(seen, 1) if step.endswith(".ckpt"))
    end = next(n for n, step in enumerate(seen, 1) if step == "replace metrics.json")
    numbers = [*range(last + 1, end + 1)]
    assert numbers
    fault = "SIGKILL between the last checkpoint and metrics.json"
    kill_at(bench, numbers, fault, new_row)


@every_command
def test_killed_inside_a_write(bench: Bench, new_row: NewRow, tries: int) -> None:
    """The file system ends the process with SIGXFSZ at a byte of the first file that is longer."""
    name = bench.case.name
    sizes = [file.stat().st_size for file in (bench.folder / "0").rglob("*") if file.is_file()]
    with new_row("killed at a random byte of a file", name, EQUAL.get(name, FILES)) as row:
        for _ in range(share(bench, tries)):
            size = bench.random.randrange(1, max(sizes))
            place = bench.place()
            with row.one(f"byte {size}"):
                bench.striking_itself(place, inside_a_file(size)).check(-signal.SIGXFSZ)
                bench.typed_again(place)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[None]:
    """A file system with that many bytes, as the only place that a command writes to."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


@every_command
def test_a_disk_that_is_full(bench: Bench, new_row: NewRow, tries: int) -> None:
    name = bench.case.name
    used = sum(f.stat().st_size for f in (bench.folder / "0").rglob("*") if f.is_file())
    with new_row("disk full at a random size", name, EQUAL.get(name, FILES)) as row:
        for _ in range(share(bench, tries)):
            size = bench.random.randrange(4 * _KIBIBYTE, max(used, 8 * _KIBIBYTE))
            place = bench.place()
            with small_disk(place, size), row.one(f"{size} bytes"):
                with bench.process(place) as process:
                    ended = bench.ended(process, place)
                ended.check(0, 1)
                assert ended.code == 0 or "make room" in ended.error, ended.error
                remount(place, "size=64m")
                bench.typed_again(place)


@every_command
def test_a_read_only_disk(bench: Bench, new_row: NewRow) -> None:
    name = bench.case.name
    end = f"one line before the work, then {EQUAL.get(name, FILES)}"
    with new_row("read-only folder", name, end) as row:
        place = bench.place()
        with small_disk(place, 64 * _KIBIBYTE**2), row.one("from the beginning"):
            remount(place, "ro")
            with bench.process(place) as process:
                ended = bench.ended(process, place)
            ended.check(1)
            assert "Read-only file system" in ended.error
            remount(place, "rw")
            bench.typed_again(place)
