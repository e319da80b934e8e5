"""The searches below a folder, read from the tables that the sweeper wrote."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cage_lightning.errors import DataError
from cage_lightning.system.paths import is_inside

OBJECTIVE = "objective."
"""Before the name of an objective in the header of a table."""

_NEEDED = ("trial", "state", "best", "run")
_PATTERN = "**/.search/*.csv"


@dataclass(frozen=True)
class Search:
    """The trials of a search, as its table has them.

    Attributes:
        name: The path of its files below the folder of the runs, without an ending.
        objectives: The names of what it improves.
        settings: The keys of what it searches.
        trials: Texts by column, in the order of the trials.
    """

    name: str
    objectives: Sequence[str]
    settings: Sequence[str]
    trials: Sequence[Mapping[str, str]]

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in each state."""
        states = [trial["state"] for trial in self.trials]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    def values(self, objective: str) -> list[float]:
        """The values of an objective; not a number where a trial has none."""
        return [_number(trial[f"{OBJECTIVE}{objective}"]) for trial in self.trials]


def read_searches(root: Path) -> list[Search]:
    """Every search below `root`, in the order of their paths; links that lead out are left out.

    Raises:
        DataError: A table is none of a search.
    """
    files = [file for file in sorted(root.glob(_PATTERN)) if is_inside(root, file)]
    return [_read(root, file) for file in files]


def _read(root: Path, file: Path) -> Search:
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            reader = csv.DictReader(opened, strict=True)
            header, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{file} is unreadable: {error}") from error
    whole = all(None not in row and None not in row.values() for row in rows)
    objectives = [name.removeprefix(OBJECTIVE) for name in header if name.startswith(OBJECTIVE)]
    if not (whole and objectives and {*_NEEDED} <= {*header}):
        raise DataError(
            f"{file} is no table of a search: delete it, and the search writes it again"
        )
    settings = [name for name in header if not (name in _NEEDED or name.startswith(OBJECTIVE))]
    name = file.relative_to(root).with_suffix("").as_posix().replace(".search/", "")
    return Search(name, objectives, settings, rows)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
