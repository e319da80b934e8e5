"""Signals at random moments of every command that writes."""

from __future__ import annotations

import operator
import signal
from pathlib import Path

import pytest

from tests.faults.commands import NAMES, RUN, Name
from tests.faults.harness import Bench, Ended, NewBench, check_parts
from tests.faults.record import NewRow

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

NAME = operator.attrgetter("name")
# Exit codes: the first where the process had not yet begun to listen.
CODES = {
    signal.SIGKILL: (-signal.SIGKILL,),
    signal.SIGTERM: (-signal.SIGTERM, 143),
    signal.SIGINT: (-signal.SIGINT, 130),
    signal.SIGUSR1: (-signal.SIGUSR1,),
}
ENDING = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Stochastic depth and dropout must come back as well.
DROPOUT = ("model=maxvit_mini", "model.image_size=64", "callbacks.last.every_n_steps=2")


def strike(bench: Bench, blow: signal.Signals, times: int) -> tuple[Path, list[Ended]]:
    """A place in which the command was struck some times in a row, and how it ended each time.

    If it was over before, which counts as nothing, an earlier moment is drawn in another place.
    """
    while True:
        place, ends = bench.place(), []
        for _ in range(times):
            ends.append(bench.struck(place, blow, bench.moment()))
            if ends[-1].code == 0:
                break
        if ends[0].code != 0:
            return place, ends
        bench.seconds *= 0.95


def check_end(bench: Bench, place: Path, ends: list[Ended], codes: tuple[int, ...]) -> None:
    """Each start has ended as documented, and the same command comes to the same end."""
    for ended in ends[:-1]:
        ended.check(*codes)
    ends[-1].check(0, *codes)
    if ends[-1].code >= 0:
        check_parts(place)
    bench.typed_again(place)


def disturb(bench: Bench, new_row: NewRow, blow: signal.Signals, tries: int, how: str = "") -> None:
    name = bench.case.name
    with new_row(f"{blow.name} at random moments{how}", name, bench.case.equal) as row:
        for number in range(tries):
            times = 1 + number % 3 if name == "train" else 1
            place, ends = strike(bench, blow, times)
            with row.one(f"{place.name}: {[ended.code for ended in ends]}"):
                check_end(bench, place, ends, CODES[blow])


@pytest.mark.parametrize("blow", CODES, ids=NAME)
@pytest.mark.parametrize("name", NAMES)
def test_a_signal_at_any_moment(
    name: Name, blow: signal.Signals, new_bench: NewBench, new_row: NewRow, tries: int
) -> None:
    bench = new_bench(name)
    disturb(bench, new_row, blow, bench.share(tries))


@pytest.mark.parametrize(("workers", "everywhere"), [(0, False), (2, False), (2, True)])
@pytest.mark.parametrize("blow", ENDING, ids=NAME)
def test_a_network_with_dropout(
    blow: signal.Signals,
    workers: int,
    everywhere: bool,
    new_bench: NewBench,
    new_row: NewRow,
    tries: int,
) -> None:
    more = (*DROPOUT, f"data.num_workers={workers}")
    run = RUN.replace("tiny", "maxvit_mini")
    bench = new_bench("train", *more, run=run, everywhere=everywhere)
    how = f", dropout and {workers} loader processes" + ", to all processes" * everywhere
    disturb(bench, new_row, blow, max(1, tries // 10), how)


@pytest.mark.parametrize("blow", ENDING, ids=NAME)
def test_python_started_anew(
    blow: signal.Signals, new_bench: NewBench, new_row: NewRow, tries: int
) -> None:
    bench = new_bench("train", started=True)
    disturb(bench, new_row, blow, max(1, tries // 10), ", Python started")


def test_near_the_time_limit_of_slurm(
    tmp_path: Path, new_bench: NewBench, new_row: NewRow, tries: int
) -> None:
    """`scontrol` here ends the process that asks it, as SLURM does where it queues a job again."""
    (tmp_path / "scontrol").write_text("#!/bin/sh\nkill -TERM $PPID\n", encoding="utf-8")
    (tmp_path / "scontrol").chmod(0o755)
    job = {"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "PATH": f"{tmp_path}:/usr/bin:/bin"}
    bench = new_bench("train", environment=job)
    name = f"{signal.SIGUSR1.name} at random moments, in a job of SLURM"
    with new_row(name, "train", bench.case.equal) as row:
        for _ in range(tries):
            place, ends = strike(bench, signal.SIGUSR1, 1)
            with row.one(f"{place.name}: {ends[0].code}"):
                check_end(bench, place, ends, (-signal.SIGUSR1, -signal.SIGTERM))
