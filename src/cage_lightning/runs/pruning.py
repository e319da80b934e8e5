"""How a search ends a run early: what its trial is compared with, and what came of it.

The sweeper writes the comparison into a file before the run starts, and `pruning=FILE` hands it
over. So the decision depends on nothing but that file and the validations of the run itself. A run
that was ended keeps its checkpoints and has no results; `pruned.json` says so until it is trained
further.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cage_lightning.errors import ConfigError, DataError
from cage_lightning.runs.folder import RunFolder
from cage_lightning.system.atomic import write_atomic
from cage_lightning.system.paths import is_inside, local_path, refuse_outside

PRUNING = "pruning"
"""The setting of `train` that names the file."""

_DIGITS = 10  # of the number of a validation

Mode = Literal["min", "max"]
Compared = Literal["best", "latest"]


@dataclass(frozen=True)
class Pruning:
    """What the validations of a trial are compared with.

    Attributes:
        search: The search, by the path of its files below `runs`, without an ending.
        trial: The number of the trial.
        mode: Whether the least or the largest value is the best one.
        compared: What is compared: the best value until then, or the latest one.
        bounds: By the number of a validation, from 1: a trial that is worse there is pruned.
    """

    search: str
    trial: int
    mode: Mode
    compared: Compared
    bounds: Mapping[int, float]

    def pruned_after(self, values: Sequence[float]) -> int | None:
        """The number of the first validation at which the trial is pruned; None: at none of them.

        Args:
            values: The monitored value of every validation so far; NaN where it is not finite.
        """
        reached = math.nan
        for number, value in enumerate(values, 1):
            reached = self._better(reached, value) if self.compared == "best" else value
            bound = self.bounds.get(number)
            if bound is not None and not self._reaches(reached, bound):
                return number
        return None

    def _better(self, one: float, other: float) -> float:
        return other if math.isnan(one) or self._reaches(other, one) else one

    def _reaches(self, value: float, bound: float) -> bool:
        """Whether a value is as good as another one; NaN never is."""
        return value <= bound if self.mode == "min" else value >= bound

    def plain(self) -> dict[str, Any]:
        """The same as JSON has it."""
        bounds = {str(number): bound for number, bound in self.bounds.items()}
        return {
            "search": self.search,
            "trial": self.trial,
            "mode": self.mode,
            "compared": self.compared,
            "bounds": bounds,
        }

    def write(self, file: Path) -> None:
        """Write it into the file that `pruning=FILE` names."""
        write_atomic(file, json.dumps(self.plain(), indent=2) + "\n")


@dataclass(frozen=True)
class Pruned:
    """Of a run that was ended early.

    Attributes:
        pruning: What it was compared with.
        values: The monitored value of every validation, up to the one that decided.
    """

    pruning: Pruning
    values: tuple[float, ...]


def read_pruning(setting: str) -> Pruning:
    """Read the file that a search has written for a trial.

    Args:
        setting: The path that `pruning` gives.

    Raises:
        ConfigError: It is not there.
        DataError: It is no such file.
    """
    file = local_path("pruning", setting)
    if not file.is_file():
        raise ConfigError(
            f"pruning={setting}: there is no such file; a search writes it for its trials: leave "
            "the setting out to train the run to its end"
        )
    return _pruning(file, _content(file))


def mark_pruned(folder: RunFolder, pruned: Pruned) -> None:
    """Say in the folder of a run that it was ended early."""
    values = [value if math.isfinite(value) else None for value in pruned.values]
    content = pruned.pruning.plain() | {"pruned_after": len(values), "validations": values}
    write_atomic(folder.pruned_file, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_pruned(folder: RunFolder) -> Pruned | None:
    """How a run was ended early; None if it was not, or has been finished since.

    Raises:
        DataError: The mark cannot be read, or is a link that leads out of the run folder.
    """
    refuse_outside(folder.path, folder.pruned_file)
    if folder.finished or not is_inside(folder.path, folder.pruned_file):
        return None
    content = _content(folder.pruned_file)
    values = values_of(content.get("validations"))
    if not values:
        raise _none(folder.pruned_file, "validations")
    return Pruned(_pruning(folder.pruned_file, content), values)


def values_of(given: object) -> tuple[float, ...]:
    """The values of validations, for which JSON has null for NaN; none if one is no number."""
    listed = given if isinstance(given, list) else []
    values = tuple(math.nan if one is None else one for one in listed)
    return tuple(map(float, values)) if all(map(_is_number, values)) else ()


def _pruning(file: Path, content: Mapping[str, Any]) -> Pruning:
    search, trial, bounds = (content.get(key) for key in ("search", "trial", "bounds"))
    mode, compared = content.get("mode"), content.get("compared")
    if not isinstance(search, str):
        raise _none(file, "search")
    if not isinstance(trial, int) or isinstance(trial, bool) or trial < 0:
        raise _none(file, "trial")
    if mode not in ("min", "max"):
        raise _none(file, "mode")
    if compared not in ("best", "latest"):
        raise _none(file, "compared")
    if not isinstance(bounds, dict) or not all(
        number.isdecimal() and len(number) < _DIGITS and _is_number(bound)
        for number, bound in bounds.items()
    ):
        raise _none(file, "bounds")
    return Pruning(
        search, trial, mode, compared, {int(number): bounds[number] for number in bounds}
    )


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} is unreadable: {error}") from error
    if not isinstance(content, dict):
        raise _none(file, "search")
    return content


def _none(file: Path, key: str) -> DataError:
    return DataError(
        f"{file} says nothing of a trial of a search (it has no valid {key!r}): delete it"
    )


def _is_number(value: object) -> bool:
    """Whether it is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 2**63
