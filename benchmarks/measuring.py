"""What the measurements share: rivals in turn, CPU time and memory, and files of results."""

from __future__ import annotations

import csv
import multiprocessing
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from cage_lightning.system.machine import processor, usable_cpus
from cage_lightning.system.markdown import markdown_table

FOLDER = Path(__file__).parent
REPEATS = 5

T = TypeVar("T")
Name = TypeVar("Name")


def in_turn(rivals: Mapping[Name, Callable[[], float]]) -> dict[Name, float]:
    """The median cost of each rival. They are measured in turn, after a round that warms up."""
    costs: dict[Name, list[float]] = {name: [] for name in rivals}
    for repeat in range(REPEATS + 1):
        for name, cost in rivals.items():
            found = cost()
            if repeat:
                costs[name].append(found)
    return {name: statistics.median(values) for name, values in costs.items()}


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started, as far as they still run."""
    ticks = 0
    for child in multiprocessing.active_children():
        stat = Path(f"/proc/{child.pid}/stat").read_text(encoding="utf-8")
        ticks += sum(map(int, stat.rpartition(")")[2].split()[11:13]))
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def ended_cpu_seconds() -> float:
    """CPU time of the processes that this one started and that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def megabytes(field: str) -> float:
    """A field of /proc/self/status in MB, such as ``RssAnon``: what is no file."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024 / 1e6


def fresh(function: Callable[..., T], *arguments: object) -> T:
    """The result of a function that runs in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def machine(*packages: str) -> str:
    """The processor, Python, and the versions of packages."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{usable_cpus()} x {processor()}; Python {platform.python_version()}, {versions}"


def write(
    name: str,
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    packages: Sequence[str] = (),
    note: str = "",
) -> None:
    """Write NAME.csv and NAME.md beside this file, and print the latter.

    Args:
        name: What was measured.
        title: Of the table.
        header: Of its columns, the first of which are words and the others numbers.
        rows: Its rows.
        packages: Those whose versions matter, besides torch and NumPy.
        note: What is to be known of the numbers.
    """
    with (FOLDER / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    table = markdown_table(header, rows, right=range(1, len(header)))
    text = (
        f"# {title}\n\n{machine('torch', 'numpy', *packages)}.\n\n{table}"
        + f"\n{note}\n" * bool(note)
    )
    (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
