"""What a dry run prints: a line for each job, how many there are, and the hours."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from omegaconf import DictConfig

from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.rates import Device
from cage_lightning.system.output import clock, say

State = Literal["finished", "running", "half trained", "waiting", "new"]
_STATES: tuple[State, ...] = ("finished", "running", "half trained", "waiting", "new")

UNKNOWN = "unknown"
"""How the time of a job is called that nothing tells."""


@dataclass(frozen=True)
class Job:
    """What a command would start.

    Attributes:
        label: What tells it from the other jobs.
        overrides: What the command line says of it.
        task: Its config, resolved for a training.
        folder: Where a training leaves its results; None for anything else.
        starts_from: The run whose weights it starts from.
        device: What it would run on.
    """

    label: str
    overrides: Sequence[str]
    task: DictConfig
    folder: RunFolder | None
    starts_from: RunFolder | None
    device: Device

    @property
    def name(self) -> str:
        """The run folder, or what the job is called in the sweep."""
        return self.label if self.folder is None else str(self.folder.path)


@dataclass(frozen=True)
class Outlook:
    """What is known of a job beforehand.

    Attributes:
        job: The job.
        state: How far it is.
        about: More about its state, for a person; empty if there is nothing to say.
        seconds: How long it would take; None if that is unknown.
        source: Where the time comes from; of an unknown one what would tell it.
    """

    job: Job
    state: State
    about: str
    seconds: float | None
    source: str

    @property
    def is_told(self) -> bool:
        """Whether the source is a command that would tell the time."""
        return self.is_left and self.source.startswith(f"{UNKNOWN}: ")

    @property
    def is_left(self) -> bool:
        """Whether the command would start it."""
        return self.state != "finished"


class Wall(NamedTuple):
    """How long all jobs take, with the places they have, for a person to read; empty: one job."""

    seconds: float
    places: str


def show(outlooks: Sequence[Outlook], wall: Wall | None, notes: Iterable[str] = ()) -> None:
    """Print a line for each job, how many there are of each state, and the time.

    Args:
        outlooks: Of the jobs, in their order.
        wall: How long it all takes; None if nothing is left, or nothing is known.
        notes: What to say besides.
    """
    sources = list(dict.fromkeys(one.source for one in outlooks if one.is_left and one.source))
    rows = [_row(one, sources) for one in outlooks]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        say("  ".join([*cells, *row[3:]]).rstrip())
    say(_counted(outlooks))
    if line := _hours(outlooks, wall):
        say(line)
    for number, source in enumerate(sources, 1):
        say(f"[{number}] {source}")
    for note in notes:
        say(note)
    say("dry=true: nothing was started, nothing was written")


def _row(one: Outlook, sources: Sequence[str]) -> tuple[str, str, str, str]:
    state = f"{one.state} {one.about}" if one.state == "waiting" else one.state
    if one.about and one.state != "waiting":
        state = f"{one.state}, {one.about}"
    if not one.is_left:
        return one.job.name, state, "", ""
    time = UNKNOWN if one.seconds is None else clock(one.seconds)
    return one.job.name, state, time, f"[{sources.index(one.source) + 1}]" if one.source else ""


def _counted(outlooks: Sequence[Outlook]) -> str:
    counts = Counter(one.state for one in outlooks)
    parts = [f"{counts[state]} {state}" for state in _STATES if counts[state]]
    plural = "" if len(outlooks) == 1 else "s"
    return f"{len(outlooks)} job{plural}: {', '.join(parts)}"


def _hours(outlooks: Sequence[Outlook], wall: Wall | None) -> str:
    """The sum of the times, and the time on the wall."""
    hours: defaultdict[str, float] = defaultdict(float)
    for one in outlooks:
        if one.is_left and one.seconds is not None:
            kind = "GPU" if one.job.device.type == "cuda" else "CPU"
            hours[kind] += one.seconds * one.job.device.count / 3600
    unknown = sum(one.is_left and one.seconds is None for one in outlooks)
    parts = [f"{value:.2f} {kind} hours" for kind, value in sorted(hours.items())]
    if wall is not None and parts:
        places = f" ({wall.places})" if wall.places else ""
        parts.append(f"{clock(wall.seconds)} until all is done{places}")
    if unknown:
        of = "the other ones" if parts else "the jobs"
        told = ": run what stands below" if any(one.is_told for one in outlooks) else ""
        parts.append(f"the time of {unknown} of {of} is unknown{told}")
    return f"about {', '.join(parts)}" if hours else ", ".join(parts)
