"""What goes wrong around a command: its data, its helpers, another one that does the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from cage_lightning.callbacks.step_timeout import EXIT_CODE
from tests.faults.commands import NAMES, Name
from tests.faults.harness import Bench, NewBench, at_another_time
from tests.faults.record import NewRow
from tests.faults.test_signals import NAME

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

PATIENCE_S = 60


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes that it has started and that still run."""
    with suppress(OSError):
        text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8")
        return [int(child) for child in text.split()]
    return []


def a_child(process: subprocess.Popen[bytes], after: float) -> int | None:
    """The last child of a process, from some seconds on; None if it ends before it has any."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(after)
    while process.poll() is None:
        if found := children(process):
            return found[-1]
        time.sleep(0.005)
    return None


def strike(pid: int | None, blow: signal.Signals) -> None:
    """Send a signal to a process, if there is one."""
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, blow)


def wait_for_a_step(bench: Bench, place: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a training has saved its first step, and for some time more; or for its end."""
    while process.poll() is None and not [*place.rglob("last.ckpt")]:
        time.sleep(0.005)
    with suppress(subprocess.TimeoutExpired):
        process.wait(bench.moment() / 10)


def alive(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, number = file.read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
            if int(number) == group and state != "Z":
                found.append(int(file.parent.name))
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_the_data_vanish(
    workers: int, tmp_path: Path, few_faces: Path, new_bench: NewBench, new_row: NewRow, tries: int
) -> None:
    data = tmp_path / "faces"
    shutil.copytree(few_faces, data)
    bench = new_bench("train", f"data.num_workers={workers}", data=data)
    end = f"one line, or a result; then {bench.case.equal}"
    with new_row(f"data root vanishes, {workers} loader processes", "train", end) as row:
        for _ in range(max(1, tries // 4)):
            place = bench.place()
            with row.one(place.name):
                with bench.process(place) as process:
                    wait_for_a_step(bench, place, process)
                    data.rename(tmp_path / "elsewhere")
                    try:
                        ended = bench.ended(process, place)
                    finally:
                        (tmp_path / "elsewhere").rename(data)
                ended.check(0, 1)
                bench.typed_again(place)


def test_the_run_folder_vanishes(new_bench: NewBench, new_row: NewRow, tries: int) -> None:
    """It comes back, or the run is begun again."""
    bench = new_bench("train")
    end = f"one line, or a result; then {bench.case.equal}"
    with new_row("run folder vanishes", "train", end) as row:
        for _ in range(max(1, tries // 4)):
            place = bench.place()
            with row.one(place.name):
                runs, elsewhere = place / "runs", bench.folder / f"{place.name}-elsewhere"
                with bench.process(place) as process:
                    wait_for_a_step(bench, place, process)
                    runs.rename(elsewhere)
                    ended = bench.ended(process, place)
                shutil.rmtree(runs, ignore_errors=True)
                if bench.random.random() < 0.5:
                    elsewhere.rename(runs)
                ended.check(0, 1)
                bench.typed_again(place)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM], ids=NAME)
def test_a_loader_process_is_killed(
    blow: signal.Signals, new_bench: NewBench, new_row: NewRow, tries: int
) -> None:
    bench = new_bench("train", "data.num_workers=2")
    end = f"one line, or a result; then {bench.case.equal}"
    with new_row(f"{blow.name} of a loader process", "train", end) as row:
        for _ in range(max(1, tries // 4)):
            place = bench.place()
            with row.one(place.name):
                with bench.process(place) as process:
                    strike(a_child(process, bench.moment()), blow)
                    ended = bench.ended(process, place)
                ended.check(0, 1)
                bench.typed_again(place)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM], ids=NAME)
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_a_rank_is_killed(
    name: Name,
    rank: int,
    blow: signal.Signals,
    new_bench: NewBench,
    new_row: NewRow,
    tries: int,
) -> None:
    two = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    bench = new_bench(name, *two, again_here=False)
    end = f"no rank lives on; then {bench.case.equal}"
    with new_row(f"{blow.name} of rank {rank} of two", name, end) as row:
        for _ in range(max(1, tries // 10)):
            place = bench.place()
            with row.one(place.name):
                with bench.process(place) as process:
                    other = a_child(process, bench.moment())
                    strike(other if rank else process.pid, blow)
                    until = time.monotonic() + PATIENCE_S
                    while process.poll() is None or alive(process.pid):
                        assert time.monotonic() < until, "a rank lives on"
                        time.sleep(0.05)
                bench.typed_again(place)


def test_a_rank_is_stopped(new_bench: NewBench, new_row: NewRow, tries: int) -> None:
    """Not before its first step: until then torch waits for it, with a bound of its own."""
    two = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    bound = "callbacks.step_timeout.seconds=5"
    bench = new_bench("train", *two, bound, again_here=False)
    end = f"exit code 75, no rank lives on; then {bench.case.equal}"
    with new_row("SIGSTOP of rank 1 of two", "train", end) as row:
        for _ in range(max(1, tries // 4)):
            place = bench.place()
            with row.one(place.name):
                with bench.process(place) as process:
                    wait_for_a_step(bench, place, process)
                    strike(next(iter(children(process)), None), signal.SIGSTOP)
                    bench.ended(process, place).check(0, EXIT_CODE)
                    time.sleep(1)
                    assert not alive(process.pid)
                bench.typed_again(place)


@pytest.mark.parametrize("name", NAMES)
def test_two_at_once(name: Name, new_bench: NewBench, new_row: NewRow, tries: int) -> None:
    bench = new_bench(name)
    end = f"both end, or one is refused in one line; {bench.case.equal}"
    with new_row("two of the same command at once", name, end) as row:
        for _ in range(max(1, tries // 10)):
            place = bench.place()
            with row.one(place.name):
                with bench.process(place) as first:
                    time.sleep(bench.moment() / 4)
                    with bench.process(place, log="second") as second:
                        ends = [
                            bench.ended(first, place),
                            bench.ended(second, place, log="second"),
                        ]
                for ended in ends:
                    ended.check(0, 1)
                assert any(ended.code == 0 for ended in ends)
                bench.typed_again(place)


@pytest.mark.parametrize("size", ["64k", "150k"])
def test_too_little_shared_memory(size: str, new_bench: NewBench, new_row: NewRow) -> None:
    """In a name space of its own for mounts, so that nobody else notices."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    bench = new_bench("train", "data.num_workers=2")
    mount = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"'
    bench.before = ("unshare", "--mount", "sh", "-c", mount, "sh")
    end = f"one line, or a result; then {bench.case.equal}"
    with new_row(f"shared memory of {size}B, Python started", "train", end) as row:
        place = bench.place()
        with row.one(size):
            ended = bench.left_alone(place)
            ended.check(0, 1)
            assert ended.code == 0 or "/dev/shm" in ended.error, ended.error
            bench.typed_again(place)


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_the_clock_jumps(seconds: float, new_bench: NewBench, new_row: NewRow, tries: int) -> None:
    bench = new_bench("train")
    name = f"clock jumps by a day {'back' if seconds < 0 else 'on'}"
    with new_row(name, "train", bench.case.equal) as row:
        for _ in range(max(1, tries // 4)):
            place, call = bench.place(), bench.random.randint(1, 200)
            with row.one(f"call {call}"):
                bench.striking_itself(place, at_another_time(seconds, call)).check(0)
                bench.typed_again(place)
