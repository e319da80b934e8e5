"""The launcher without processes: places on devices, and what is printed about a grid."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cage_lightning.errors import ConfigError
from hydra_plugins.cage_launcher._job import Job, State
from hydra_plugins.cage_launcher._overview import Overview, time_left
from hydra_plugins.cage_launcher._slots import Slots, devices_needed, visible_devices


@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30),
)
def test_a_place_is_held_once(devices: int, jobs: int, cpus: int, wishes: list) -> None:
    slots = Slots([str(i) for i in range(devices)], jobs, cpus)
    held: list[list[str]] = []
    for count, end_one in wishes:
        if end_one and held:
            slots.give_back(held.pop(0))
        before = Counter(name for names in held for name in names)
        taken = slots.take(count)
        if taken is None:
            full = cpus - before["cpu"] if count == 0 else None
            free = [n for n in slots.devices if before[n] < jobs]
            assert full == 0 if count == 0 else len(free) < count
            continue
        held.append(taken)
        assert len(set(taken)) == len(taken) == max(1, count)
        assert (taken == ["cpu"]) == (count == 0)
        after = Counter(name for names in held for name in names)
        assert after["cpu"] <= cpus
        assert all(after[name] <= jobs for name in slots.devices)


def test_the_emptiest_devices_come_first() -> None:
    slots = Slots(["4", "5", "6"], 2, 1)
    assert slots.take(1) == ["4"]
    assert slots.take(2) == ["5", "6"]
    assert slots.take(2) == ["4", "5"]
    slots.give_back(["5", "6"])
    assert slots.take(1) == ["6"]


def test_jobs_on_the_cpu_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert [Slots([], 1, slots).threads for slots in (1, 3, 8, 20)] == [8, 2, 1, 1]


def test_slots_that_run_nothing_are_refused() -> None:
    for places in ((0, 1), (1, 0)):
        with pytest.raises(ConfigError, match="at least 1"):
            Slots(["0"], *places)


@pytest.mark.parametrize(
    ("accelerator", "devices", "there", "expected"),
    [
        ("auto", 1, 4, 1),
        ("gpu", 2, 4, 2),
        ("gpu", "2", 4, 2),
        ("gpu", -1, 4, 4),
        ("gpu", "auto", 4, 4),
        ("gpu", [2, 3], 4, 4),
        ("cpu", 2, 4, 0),
        ("auto", 1, 0, 0),
        ("gpu", -1, 0, 1),
        ("cuda", 2, 0, 2),
    ],
)
def test_devices_of_a_job(accelerator: str, devices: object, there: int, expected: int) -> None:
    assert devices_needed(accelerator, devices, there) == expected


def test_visible_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, MIG-a")
    assert visible_devices() == ["2", "MIG-a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_devices() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\n"
        "echo 'GPU 0: NVIDIA H100 (UUID: GPU-1)'\n"
        "echo '  MIG 1g.10gb Device 0: (UUID: MIG-1)'\n"
        "echo 'GPU 1: NVIDIA H100 (UUID: GPU-2)'\n"
    )
    tool.chmod(0o755)
    assert visible_devices() == ["0", "1"]


def job(state: State, began: float = 0.0, ended: float | None = None) -> Job:
    return Job(
        *(0, f"tag=[t{began:g}]", [], Path(), 1, None),
        state=state,
        devices=["5"],
        _began=began,
        _ended=ended,
    )


def test_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    running = [job(State.RUNNING, 90), job(State.RUNNING, 40)]
    waiting = [job(State.WAITING)] * 3
    assert time_left([*running, *waiting], 2) is None
    done = [job(State.DONE, 10, 40), job(State.DONE, 20, 70), job(State.SKIPPED)]
    # A job takes 40 s: the running ones have 30 s and 0 s left, and three wait for two places.
    assert time_left([*done, *running, *waiting], 2) == pytest.approx((30 + 0 + 120) / 2)
    # The estimate also holds between the end of a job and the start of the next one.
    assert time_left([*done, running[0], *waiting], 2) == pytest.approx((30 + 120) / 2)
    assert time_left(done, 2) is None


def test_a_terminal_shows_what_runs_and_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    jobs = [job(State.DONE, 10, 40), job(State.FAILED, 20, 24), job(State.RUNNING, 90)]
    console = Console(width=80)
    with console.capture() as shown:
        console.print(Overview([*jobs, job(State.WAITING)]))
    rows = [row.split() for row in shown.get().splitlines()]
    assert rows[1:3] == [
        ["running", "tag=[t90]", "5", "0:00:10"],
        ["failed", "tag=[t20]", "5", "0:00:04"],
    ]
    assert " ".join(rows[3]) == "4 jobs: 1 waiting, 1 running, 1 done, 1 failed, about 0:00:50 left"
