"""The formats of tables: delimited text, Parquet, JSON lines and Arrow."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cage_lightning.data.readers.faults import Fault
from cage_lightning.errors import ConfigError, DataError, first_line
from cage_lightning.system.delimited import read_rows

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
    """

    file: Path
    names: list[str]
    texts: Callable[[str], list[str]]
    places: list[str]
    decimal_comma: bool = False
    faults: list[Fault] = field(default_factory=list)


def open_table(file: Path, known: Callable[[str], bool]) -> RawTable:
    """Read a table by the ending of its name.

    Args:
        file: One of the `SUFFIXES`.
        known: Whether a column of this name is of use.

    Raises:
        DataError: There is no such file, or it is broken or has no row.
        ConfigError: It is of another format.
    """
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise ConfigError(
            f"{file}: a table ends in {', '.join(SUFFIXES)}; save it as CSV, or name the column of "
            "another program's file in a script"
        )
    if not file.is_file():
        near = ", ".join(path.name for path in tables_in(file.parent)) or "no table"
        raise DataError(
            f"there is no table {file}: set data.table=FILE; {file.parent} holds {near}"
        )
    try:
        table = read(file, known)
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        kind = file.suffix.lower()
        raise DataError(f"{file}: not a readable {kind} file: {first_line(error)}") from error
    if not table.places and not table.faults:
        raise DataError(f"{file} holds no rows")
    return table


def tables_in(folder: Path) -> list[Path]:
    """The visible files of a folder that may be tables, by name."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()
    )


def _read_text(file: Path, known: Callable[[str], bool]) -> RawTable:
    names, rows, lines, separator = read_rows(file, known)
    while names and not names[-1] and all(len(row) < len(names) or not row[-1] for row in rows):
        names = names[:-1]  # a separator at the end of each line
        rows = [row[: len(names)] for row in rows]
    faults, kept, places = [], [], []
    for row, line in zip(rows, lines, strict=True):
        if len(row) == len(names):
            kept.append(row)
            places.append(f"line {line}")
        else:
            problem = (
                f"are {len(row)} fields, and the header has {len(names)}: quote a text with a "
                f"{separator!r} in it"
            )
            faults.append(Fault(file, f"line {line}", "", separator.join(row), problem))
    index = {name: k for k, name in enumerate(names)}
    return RawTable(
        file,
        names,
        lambda name: [row[index[name]] for row in kept],
        places,
        decimal_comma=separator != ",",
        faults=faults,
    )


def _read_json_lines(file: Path, _: Callable[[str], bool]) -> RawTable:
    rows: list[dict[str, Any]] = []
    faults, places = [], []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        text = line.decode("utf-8-sig")
        if not text.strip():
            continue
        place = f"line {number}"
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
            places.append(place)
        else:
            faults.append(Fault(file, place, "", text, 'is no JSON object {"column": value, ...}'))
    names = list(dict.fromkeys(name for row in rows for name in row))
    return RawTable(
        file,
        names,
        lambda name: [_text(row.get(name)) for row in rows],
        places,
        faults=faults,
    )


def _read_parquet(file: Path, _: Callable[[str], bool]) -> RawTable:
    parquet = pq.ParquetFile(file, page_checksum_verification=True)
    return _of_arrow(
        file,
        parquet.schema_arrow,
        parquet.metadata.num_rows,
        lambda name: parquet.read(columns=[name]).column(0),
    )


def _read_arrow(file: Path, _: Callable[[str], bool]) -> RawTable:
    with pa.OSFile(str(file)) as source:
        try:
            table = pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            table = pa.ipc.open_stream(source).read_all()
    table.validate(full=True)
    return _of_arrow(file, table.schema, table.num_rows, lambda name: table.column(name))


def _of_arrow(
    file: Path, schema: pa.Schema, rows: int, column: Callable[[str], pa.ChunkedArray]
) -> RawTable:
    def texts(name: str) -> list[str]:
        kind = schema.field(name).type
        if pa.types.is_nested(kind) and not _is_list(kind):
            raise ValueError(f"holds {kind}: write the pictures as files, and their paths here")
        values = column(name)
        values.validate(full=True)
        return [_text(value) for value in values.to_pylist()]

    return RawTable(file, list(schema.names), texts, [f"row {row}" for row in range(1, rows + 1)])


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _text(value: Any) -> str:
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
        return JOINT.join(_text(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


_READERS = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt"), _read_text),
    **dict.fromkeys((".parquet", ".pq"), _read_parquet),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), _read_json_lines),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), _read_arrow),
}
SUFFIXES = tuple(_READERS)
