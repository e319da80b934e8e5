"""CSV files by the names of their columns."""

from __future__ import annotations

import csv
import itertools
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from cage_lightning.errors import DataError

Row = TypeVar("Row")


def read_table(
    source: Path,
    columns: Sequence[str],
    convert: Callable[[tuple[str, ...]], Row],
    header: Sequence[str] = (),
) -> tuple[list[int], list[Row]]:
    """Rows of a CSV file in UTF-8, blank lines left out.

    Args:
        source: The file.
        columns: Two or more columns to read, in any order.
        convert: Makes a row of their texts; a ValueError says what is wrong with them.
        header: The header of a file whose first row does not name ``columns[0]``. Without it,
            a file must have one.

    Returns:
        The line number of each row (of its last line), and the rows.

    Raises:
        DataError: A column is missing, a row is too short, too long or not convertible (the
            message names the line), or there is no row.
    """
    lines: list[int] = []
    rows: list[Row] = []
    with source.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        try:
            first = next(reader, [])
            headless = bool(header) and columns[0] not in map(str.strip, first)
            names = list(header) if headless else [name.strip() for name in first]
            if absent := [name for name in columns if name not in names]:
                raise ValueError(f"there is no column {absent[0]!r} in {','.join(names)!r}")
            pick = operator.itemgetter(*map(names.index, columns))
            for fields in itertools.chain([first] if headless else [], reader):
                if not fields:
                    continue
                if len(fields) != len(names):
                    raise ValueError(f"{len(fields)} fields instead of {len(names)}")
                lines.append(reader.line_num)
                rows.append(convert(pick(fields)))
        except (ValueError, csv.Error) as error:
            raise DataError(
                f"{source}, line {reader.line_num}: {error}; expected numbers in the columns "
                f"{','.join(columns)}"
            ) from error
    if not rows:
        raise DataError(f"{source} holds no rows.")
    return lines, rows
