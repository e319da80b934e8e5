"""A table as it is written, whatever its format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cage_lightning.data.readers.faults import Fault

JOINT = "\x1f"
"""Between the items of a cell that is a list."""


@dataclass(frozen=True)
class RawTable:
    """A table as it is written.

    Attributes:
        file: Where it lies.
        names: Of the columns; one may be there twice.
        texts: Name -> the text of each row, empty where there is none; the items of a list are
            separated by `JOINT`. It raises a ValueError for a column of another kind.
        places: Where a person finds each row, as in ``line 5``.
        decimal_comma: Whether a comma in a number separates its fraction.
        faults: Rows that are none; they are left out.
        embedded: Name of a column that holds pictures -> the path that it says, empty without one,
            and the file of each row; None for the file where there is none.
        classes: Name of a column of categories -> all that the file says there are, in its order.
    """

    file: Path
    names: list[str]
    texts: Callable[[str], list[str]]
    places: list[str]
    decimal_comma: bool = False
    faults: list[Fault] = field(default_factory=list)
    embedded: Mapping[str, Callable[[], Iterator[tuple[str, bytes | None]]]] = field(
        default_factory=dict
    )
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def as_text(value: Any) -> str:
    """A value as text; a list as its items.

    Raises:
        ValueError: It is no text, number or list of them.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes | Mapping):
        raise ValueError("holds no text: write the pictures as files, and their paths here")
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Sequence):
        return JOINT.join(as_text(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
