"""Tables of rows as parquet, CSV or JSON lines, with what they are of."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from cage_lightning.errors import ConfigError, first_line
from cage_lightning.system.atomic import replacing, write_atomic
from cage_lightning.system.escaping import for_spreadsheet, from_spreadsheet

_KEY = b"cage_lightning"
ENDINGS = (".parquet", ".csv", ".jsonl")
_SEPARATOR = ";"  # of the categories of a face in a CSV file, where several may apply

Write = Callable[[pa.Table], None]


@contextmanager
def replacing_table(path: Path, schema: pa.Schema, about: dict[str, Any]) -> Iterator[Write]:
    """Replace a file atomically by a table that is written piece by piece.

    Args:
        path: The file; its ending is one of `ENDINGS`.
        schema: Of the table.
        about: What it is of, as JSON values that may change until the end: in the metadata of a
            parquet file, and beside the others in a file ``<name>.meta.json``.

    Yields:
        What writes a piece.
    """
    with replacing(path) as part:
        if path.suffix == ".parquet":
            with pq.ParquetWriter(part, schema, write_page_checksum=True) as writer:
                yield writer.write_table
                writer.add_key_value_metadata({_KEY: json.dumps(about)})
        elif path.suffix == ".csv":
            with pa.csv.CSVWriter(part, _flat(schema.empty_table()).schema) as writer:
                yield lambda table: writer.write_table(_without_formulas(_flat(table)))
        else:
            with part.open("w", encoding="utf-8") as file:
                yield lambda table: file.writelines(_lines(table))
        if path.suffix != ".parquet":
            write_atomic(_beside(path), json.dumps(about, indent=2))


def read_about(path: Path) -> dict[str, Any]:
    """What a table is of; nothing where that is not known.

    Raises:
        ConfigError: The file is damaged, or no table.
    """
    try:
        if path.suffix == ".parquet":
            text = (pq.read_metadata(path).metadata or {}).get(_KEY, b"{}")
        else:
            text = _beside(path).read_bytes() if _beside(path).is_file() else b"{}"
        return dict(json.loads(text))
    except (pa.ArrowException, OSError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is there already, and no result of this command ({first_line(error)}): "
            "choose another output=FILE"
        ) from error


def delete_table(path: Path) -> None:
    """Delete a table that may be there, and what is beside it."""
    path.unlink(missing_ok=True)
    _beside(path).unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.meta.json")


def _flat(table: pa.Table) -> pa.Table:
    """The table without lists, for CSV."""
    for n, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [None if v is None else _SEPARATOR.join(v) for v in table[n].to_pylist()]
            table = table.set_column(n, field.name, pa.array(texts, pa.string()))
    return table


def _without_formulas(table: pa.Table) -> pa.Table:
    """The table with no text in it that a spreadsheet would run."""
    for n, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            texts = [for_spreadsheet(text) for text in table[n].to_pylist()]
            table = table.set_column(n, field.name, pa.array(texts, pa.string()))
    return table


def _lines(table: pa.Table) -> Iterator[str]:
    single = [field.name for field in table.schema if pa.types.is_float32(field.type)]
    for row in table.to_pylist():
        yield json.dumps(row | {name: _shown(row[name]) for name in single}) + "\n"


def _shown(value: float | None) -> float | None:
    """A float32 with the digits that it has; JSON knows no NaN."""
    return None if value is None or math.isnan(value) else float(f"{value:.9g}")


def read_rows(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """The rows of a file that `replacing_table` wrote, one after the other.

    Args:
        path: The file.
        schema: Its columns.
    """
    if path.suffix == ".parquet":
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    elif path.suffix == ".csv":
        flat = _flat(schema.empty_table()).schema
        options = pa.csv.ConvertOptions(
            column_types={field.name: field.type for field in flat}, strings_can_be_null=True
        )
        parsing = pa.csv.ParseOptions(newlines_in_values=True)
        with pa.csv.open_csv(path, convert_options=options, parse_options=parsing) as reader:
            for batch in reader:
                yield from map(_as_written, batch.to_pylist())
    else:
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _as_written(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a CSV file with its texts as they were before `_without_formulas`."""
    return {
        key: from_spreadsheet(value) if isinstance(value, str) else value
        for key, value in row.items()
    }
