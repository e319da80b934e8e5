"""Kills inside a write and between two writes, and disks that are full at every kind of write."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.commands import NAMES, Name
from tests.faults.harness import Bench, NewBench, at_step, inside_a_file
from tests.faults.record import NewRow

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

_KIBIBYTE = 1024

every_command = pytest.mark.parametrize("name", NAMES)


def kill_at(bench: Bench, numbers: list[int], fault: str, new_row: NewRow) -> None:
    with new_row(fault, bench.case.name, bench.case.equal) as row:
        for number in numbers:
            place = bench.place()
            with row.one(f"step {number}"):
                bench.striking_itself(place, at_step(number)).check(-signal.SIGKILL)
                bench.typed_again(place)


@every_command
def test_killed_between_two_steps_of_writing(
    name: Name, new_bench: NewBench, new_row: NewRow, tries: int
) -> None:
    bench = new_bench(name)
    numbers = range(1, len(bench.steps()) + 1)
    drawn = bench.random.sample(numbers, min(bench.share(tries), len(numbers)))
    kill_at(bench, sorted(drawn), "SIGKILL before a flush or a rename", new_row)


def test_killed_between_the_last_checkpoint_and_the_metrics(
    new_bench: NewBench, new_row: NewRow
) -> None:
    bench = new_bench("train")
    seen = bench.steps()
    last = max(n for n, step in enumerate(seen, 1) if step.endswith(".ckpt"))
    end = next(n for n, step in enumerate(seen, 1) if step == "replace metrics.json")
    numbers = [*range(last + 1, end + 1)]
    assert numbers
    fault = "SIGKILL between the last checkpoint and metrics.json"
    kill_at(bench, numbers, fault, new_row)


@every_command
def test_killed_inside_a_write(
    name: Name, new_bench: NewBench, new_row: NewRow, tries: int
) -> None:
    """The file system ends the process with SIGXFSZ at a byte of the first file that is longer."""
    bench = new_bench(name)
    sizes = [file.stat().st_size for file in (bench.folder / "0").rglob("*") if file.is_file()]
    with new_row("killed at a random byte of a file", name, bench.case.equal) as row:
        for _ in range(bench.share(tries)):
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
def test_a_disk_that_is_full(name: Name, new_bench: NewBench, new_row: NewRow, tries: int) -> None:
    bench = new_bench(name)
    used = sum(f.stat().st_size for f in (bench.folder / "0").rglob("*") if f.is_file())
    with new_row("disk full at a random size", name, bench.case.equal) as row:
        for _ in range(bench.share(tries)):
            size = bench.random.randrange(4 * _KIBIBYTE, max(used, 8 * _KIBIBYTE))
            place = bench.place()
            with small_disk(place, size), row.one(f"{size} bytes"):
                ended = bench.left_alone(place)
                ended.check(0, 1)
                assert ended.code == 0 or "make room" in ended.error, ended.error
                remount(place, "size=64m")
                bench.typed_again(place)


@every_command
def test_a_read_only_disk(name: Name, new_bench: NewBench, new_row: NewRow) -> None:
    bench = new_bench(name)
    end = f"one line before the work, then {bench.case.equal}"
    with new_row("read-only folder", name, end) as row:
        place = bench.place()
        with small_disk(place, 64 * _KIBIBYTE**2), row.one("from the beginning"):
            remount(place, "ro")
            ended = bench.left_alone(place)
            ended.check(1)
            assert "Read-only file system" in ended.error
            remount(place, "rw")
            bench.typed_again(place)
