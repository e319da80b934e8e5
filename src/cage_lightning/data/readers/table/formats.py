"""The formats of tables: delimited text, Parquet, JSON, Arrow and WebDataset."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tarfile import TarError
from typing import Any

import pyarrow as pa

from cage_lightning.data.readers.faults import Fault
from cage_lightning.data.readers.table.arrow import read_arrow, read_parquet
from cage_lightning.data.readers.table.raw import RawTable, as_text
from cage_lightning.data.readers.table.webdataset import read_tar
from cage_lightning.errors import ConfigError, DataError, first_line
from cage_lightning.system.delimited import read_rows


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
    except (pa.ArrowException, TarError, OSError, ValueError, RecursionError) as error:
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


def _read_json(file: Path, _: Callable[[str], bool]) -> RawTable:
    rows: list[dict[str, Any]] = []
    faults, places = [], []
    for place, text, row in _json_rows(file.read_bytes().decode("utf-8-sig")):
        if isinstance(row, dict):
            rows.append(row)
            places.append(place)
        else:
            faults.append(Fault(file, place, "", text, 'is no JSON object {"column": value, ...}'))
    names = list(dict.fromkeys(name for row in rows for name in row))
    return RawTable(
        file,
        names,
        lambda name: [as_text(row.get(name)) for row in rows],
        places,
        faults=faults,
    )


def _json_rows(text: str) -> Iterator[tuple[str, str, Any]]:
    """The place, text and value of each row: a line, or an item of the list that is all of it."""
    if isinstance(rows := _json(text), list):
        yield from ((f"item {n}", json.dumps(row), row) for n, row in enumerate(rows, start=1))
        return
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if line.strip():
            yield f"line {number}", line.rstrip("\n"), _json(line)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_READERS = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt"), _read_text),
    **dict.fromkeys((".parquet", ".pq"), read_parquet),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), _read_json),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), read_arrow),
    ".tar": read_tar,
}
SUFFIXES = tuple(_READERS)
