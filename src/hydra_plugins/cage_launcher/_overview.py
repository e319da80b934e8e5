"""What a person sees of a grid while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cage_lightning.system.output import clock, console
from hydra_plugins.cage_launcher._job import Job, State

_SHOWN = {State.RUNNING: "cyan", State.FAILED: "red"}


class Overview:
    """The state of the jobs: a live table on a terminal, else a line for every change."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._console = console()
        self._at_a_time = 1

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show it while the block runs."""
        if not self._console.is_terminal:
            print(self._summary(), flush=True)
            yield
            return
        with Live(self, console=self._console, refresh_per_second=2):
            yield

    def changed(self, job: Job) -> None:
        """Tell of a job that started or ended."""
        running = sum(job.state is State.RUNNING for job in self._jobs)
        self._at_a_time = max(self._at_a_time, running)
        if self._console.is_terminal:
            return
        if job.state is State.RUNNING:
            about = f"on {','.join(job.devices)}"
        else:
            about = f"after {clock(job.seconds)}; {self._summary()}"
        print(f"{job.state:7} {job.label} {about}", flush=True)

    def __rich__(self) -> Group:
        table = Table("", "job", "on", "time", box=None)
        for state, style in _SHOWN.items():
            for job in self._jobs:
                if job.state is state:
                    on = ",".join(job.devices)
                    table.add_row(state, Text(job.label), on, clock(job.seconds), style=style)
        return Group(table, self._summary())

    def _summary(self) -> str:
        counts = Counter(job.state for job in self._jobs)
        parts = [f"{counts[state]} {state}" for state in State if counts[state]]
        left = time_left(self._jobs, self._at_a_time)
        if left is not None:
            parts.append(f"about {clock(left)} left")
        return f"{len(self._jobs)} jobs: {', '.join(parts)}"


def time_left(jobs: Sequence[Job], at_a_time: int) -> float | None:
    """Seconds until the grid is done, if the rest takes as long as what is done.

    Args:
        jobs: All of them.
        at_a_time: How many run side by side.

    Returns:
        None while no job is done, and when none is left.
    """
    done = [job.seconds for job in jobs if job.state is State.DONE]
    running = [job.seconds for job in jobs if job.state is State.RUNNING]
    waiting = sum(job.state is State.WAITING for job in jobs)
    if not done or not running + [0.0] * waiting:
        return None
    each = sum(done) / len(done)
    return (sum(max(0.0, each - ran) for ran in running) + each * waiting) / at_a_time
