"""Parquet and Arrow files, also as the Hugging Face ``datasets`` library writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from cage_lightning.data.readers.table.raw import RawTable, as_text
from cage_lightning.errors import first_line
from cage_lightning.system import arrow
from cage_lightning.system.parquet import Allowance, in_slices, open_parquet, read_whole

_AT_ONCE = 64
"""Rows whose pictures are in memory at a time."""

_Slices = Iterator[pa.ChunkedArray | pa.Array]


def read_parquet(file: Path, _: Callable[[str], bool]) -> RawTable:
    """Read a Parquet file; see `formats.open_table`."""
    parquet = open_parquet(file)

    return _table(
        file,
        parquet.schema_arrow,
        parquet.metadata.num_rows,
        lambda name: read_whole(file, parquet, [name]).column(0),
        lambda name: in_slices(file, parquet, name, _AT_ONCE),
    )


def read_arrow(file: Path, _: Callable[[str], bool]) -> RawTable:
    """Read an Arrow file or stream; see `formats.open_table`."""
    table = arrow.read_arrow(file)

    def slices(name: str) -> _Slices:
        column = table.column(name)
        return (column.slice(row, _AT_ONCE) for row in range(0, len(column), _AT_ONCE))

    return _table(file, table.schema, table.num_rows, table.column, slices)


def _table(
    file: Path,
    schema: pa.Schema,
    rows: int,
    column: Callable[[str], pa.ChunkedArray],
    slices: Callable[[str], _Slices],
) -> RawTable:
    classes = _classes(schema)

    def texts(name: str) -> list[str]:
        kind = schema.field(name).type
        if pa.types.is_nested(kind) and not _is_list(kind):
            raise ValueError(f"holds {kind}: write pictures as files, or as the bytes of files")
        allowance, found = Allowance(file.stat().st_size), []
        try:
            values = column(name)
            values.validate(full=True)
            for value in values:
                found.append(as_text(_named(value.as_py(), classes.get(name, ()))))
                allowance.take(len(found[-1]))
        except (pa.ArrowException, OSError, OverflowError) as error:  # a date of no calendar, too
            raise ValueError(f"cannot be read: {first_line(error)}") from error
        return found

    return RawTable(
        file,
        list(schema.names),
        texts,
        [f"row {row}" for row in range(1, rows + 1)],
        embedded={
            name: partial(_pictures, file, slices, name)
            for name in dict.fromkeys(schema.names)
            if _holds_pictures(schema, name)
        },
        classes=classes,
    )


def _pictures(
    file: Path, slices: Callable[[str], _Slices], name: str
) -> Iterator[tuple[str, bytes | None]]:
    allowance = Allowance(file.stat().st_size)
    for values in slices(name):
        values.validate(full=True)
        for value in values:
            content = value.as_py()
            row = content if isinstance(content, Mapping) else {"bytes": content}
            allowance.take(len(row["bytes"] or b""))
            yield row.get("path") or "", row["bytes"]


def _holds_pictures(schema: pa.Schema, name: str) -> bool:
    """Whether a column has the files of pictures: as bytes, or as ``datasets`` writes them."""
    places = schema.get_all_field_indices(name)
    kind = schema.field(places[0]).type
    if pa.types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        path = fields.get("path", pa.string())
        return "bytes" in fields and _is(fields["bytes"], _BYTES) and _is(path, _TEXT)
    return _is(kind, _BYTES[1:])


_BYTES = (pa.types.is_null, pa.types.is_binary, pa.types.is_large_binary)  # null: all are missing
_TEXT = (pa.types.is_null, pa.types.is_string, pa.types.is_large_string)


def _is(kind: Any, kinds: Sequence[Callable[[Any], bool]]) -> bool:
    return any(one(kind) for one in kinds)


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _classes(schema: pa.Schema) -> dict[str, list[str]]:
    """The names behind the numbers of a column, where ``datasets`` wrote them into the file."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"].items()
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return {}
    named = {column: _names_in(feature) for column, feature in features}
    return {column: names for column, names in named.items() if names and column in schema.names}


def _names_in(feature: Any) -> list[str]:
    """The names of a feature, or of the items of a list of it, as the versions write one."""
    if isinstance(feature, list) and feature:
        feature = feature[0]
    if isinstance(feature, Mapping):
        feature = feature.get("feature", feature)
    if not isinstance(feature, Mapping) or feature.get("_type") != "ClassLabel":
        return []
    names = feature.get("names")
    return [str(name).strip() for name in names] if isinstance(names, list) else []


def _named(value: Any, names: Sequence[str]) -> Any:
    """A number as the name that stands for it; -1 is what ``datasets`` has where there is none."""
    if not names:
        return value
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    if isinstance(value, int) and -1 <= value < len(names):
        return None if value < 0 else names[value]
    return value
