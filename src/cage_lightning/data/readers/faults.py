"""What is wrong in the rows of a table that somebody wrote, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cage_lightning.errors import DataError

LONGEST = 60  # characters of a value that messages show


class Fault(NamedTuple):
    """One wrong cell.

    Attributes:
        file: The table, or the folder of pictures.
        place: Where in it, as in ``line 5``.
        column: Its name in the file.
        value: Its text.
        problem: What is wrong, and how it is put right.
    """

    file: Path
    place: str
    column: str
    value: str
    problem: str

    def __str__(self) -> str:
        shown = " ".join(self.value.split())
        shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."
        place = ", ".join(filter(None, (str(self.file), self.place)))
        column = f", column {self.column!r}" if self.column else ""
        return f"{place}{column}: '{shown}' {self.problem}"


class WrongRows(DataError):
    """Rows that cannot be read; `faults` has every wrong cell of them."""

    def __init__(self, faults: Sequence[Fault], rows: int) -> None:
        self.faults = tuple(faults)
        self.rows = rows
        more = f" ({len(faults)} wrong cells in {rows} rows)" if len(faults) > 1 else ""
        super().__init__(
            f"{faults[0]}{more}. Correct the file, or leave such rows out with data.on_error=skip."
        )
