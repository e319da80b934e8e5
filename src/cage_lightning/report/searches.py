"""The searches below a folder, read from the tables that the sweeper wrote."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cage_lightning.errors import DataError
from cage_lightning.system.escaping import from_spreadsheet
from cage_lightning.system.paths import is_inside

OBJECTIVE = "objective."
"""Before the name of an objective in the header of a table."""

VALIDATIONS = "validations"
"""The column of a search that may prune: how many validations a trial had."""

SETTINGS = ".settings.json"
"""The ending of the file beside a table that says more of its settings."""

FOLDER = ".search"
"""The folder in that of a group of runs that holds its searches."""

_NEEDED = ("trial", "state", "best", "run")
_PATTERN = f"**/{FOLDER}/*.csv"


@dataclass(frozen=True)
class Search:
    """The trials of a search, as its table has them.

    Attributes:
        name: The path of its files below the folder of the runs, without an ending.
        objectives: The names of what it improves.
        settings: The keys of what it searches.
        trials: Texts by column, in the order of the trials.
        on_log_scale: The settings that are searched on a logarithmic scale.
        importance: The share of each setting in what makes a trial good; empty where unknown.
    """

    name: str
    objectives: Sequence[str]
    settings: Sequence[str]
    trials: Sequence[Mapping[str, str]]
    on_log_scale: frozenset[str] = frozenset()
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in each state."""
        states = [trial["state"] for trial in self.trials]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    def values(self, objective: str) -> list[float]:
        """The values of an objective; not a number where a trial has none.

        Of a trial that was pruned it is the best value until then.
        """
        return [number_of(trial[f"{OBJECTIVE}{objective}"]) for trial in self.trials]

    @property
    def has_lengths(self) -> bool:
        """Whether the table says how many validations a trial had."""
        return any(VALIDATIONS in trial for trial in self.trials)

    @property
    def pruned(self) -> list[bool]:
        """Of each trial, whether it was pruned."""
        return [trial["state"] == "pruned" for trial in self.trials]


def read_searches(root: Path, malformed: dict[Path, str]) -> list[Search]:
    """Every search below `root`, in the order of their paths; links that lead out are left out.

    Args:
        root: The folder.
        malformed: Gets an entry for each table that is none of a search, which is left out: why.
    """
    searches = []
    for file in sorted(root.glob(_PATTERN)):
        if is_inside(root, file):
            try:
                searches.append(read_search(root, file))
            except DataError as error:
                malformed[file] = str(error)
    return searches


def read_search(root: Path, file: Path) -> Search:
    """The search of one table below `root`.

    Raises:
        DataError: The table is none of a search.
    """
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            reader = csv.DictReader(opened, strict=True)
            header = [from_spreadsheet(name) for name in reader.fieldnames or ()]
            reader.fieldnames = header
            rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{file} is unreadable: {error}") from error
    whole = all(None not in row and None not in row.values() for row in rows)
    objectives = [name.removeprefix(OBJECTIVE) for name in header if name.startswith(OBJECTIVE)]
    if not (whole and objectives and {*_NEEDED} <= {*header}):
        raise DataError(
            f"{file} is no table of a search: delete it, and the search writes it again"
        )
    others = (*_NEEDED, VALIDATIONS)
    settings = [name for name in header if not (name in others or name.startswith(OBJECTIVE))]
    name = file.relative_to(root).with_suffix("").as_posix().replace(f"{FOLDER}/", "")
    return Search(name, objectives, settings, rows, *_about(root, file, settings))


def _about(
    root: Path, table: Path, settings: Sequence[str]
) -> tuple[frozenset[str], dict[str, float]]:
    """The settings on a logarithmic scale, and what is known of their importance."""
    file = table.with_suffix(SETTINGS)
    if not is_inside(root, file):  # a search of an older version has none
        return frozenset(), {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        known = {key: content[key] for key in settings}
        logarithmic = frozenset(key for key, one in known.items() if one["scale"] == "log")
        shares = {key: one["importance"] for key, one in known.items() if "importance" in one}
        if not all(isinstance(x, int | float) and 0 <= x <= 1 for x in shares.values()):
            raise ValueError("an importance is not between 0 and 1")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(
            f"{file} says nothing of the settings of a search ({error}): delete it, and the search "
            "writes it again"
        ) from error
    return logarithmic, shares


def number_of(text: str) -> float:
    """The number in a cell; NaN where there is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
