"""Parquet files from anyone: a small file may stand for a table that no memory holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# Tables that people keep have a byte or more for every few values, and are at most some ten times
# as large in memory. What is small in memory may be as dense as it likes.
_VALUES, _VALUES_PER_BYTE = 2_000_000, 8
_BYTES, _BYTES_PER_BYTE = 1 << 28, 100
_PIECES = 100_000
_ROWS = 1 << 16  # at a time


def open_parquet(file: Path) -> pq.ParquetFile:
    """Open a Parquet file whose pages are compared with their checksums, where they have some.

    Raises:
        ValueError: By what it says of itself, its content would be out of all proportion to it.
        OSError: It cannot be read.
    """
    parquet = pq.ParquetFile(file, page_checksum_verification=True)
    metadata, size = parquet.metadata, file.stat().st_size
    if metadata.num_row_groups * metadata.num_columns > _PIECES:
        raise ValueError(f"it has more than {_PIECES:,} pieces")
    _check_pieces(file)
    pieces = list(_pieces(metadata))
    cells = metadata.num_rows * metadata.num_columns
    check_values(size, max(cells, sum(piece.num_values for piece in pieces)))
    check_bytes(size, sum(piece.total_uncompressed_size for piece in pieces))
    return parquet


def read_whole(
    file: Path, parquet: pq.ParquetFile, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read columns of a file that `open_parquet` opened.

    Args:
        file: The same file.
        parquet: What was opened.
        columns: Their names; None: all of them.

    Raises:
        ValueError: A text that is written once stands in so many rows that they would be out of all
            proportion to the file.
    """
    size = file.stat().st_size
    repeated = {
        piece.path_in_schema
        for piece in _pieces(parquet.metadata)
        if piece.physical_type == "BYTE_ARRAY"
        and (columns is None or _is_of(piece.path_in_schema, columns))
        and piece.num_values * piece.total_uncompressed_size > _most_bytes(size)
    }
    if repeated:
        check_bytes(size, sum(_lengths(file, sorted(repeated))))
    return parquet.read(columns=columns)


def in_slices(file: Path, parquet: pq.ParquetFile, column: str, rows: int) -> Iterator[pa.Array]:
    """A column of a file that `open_parquet` opened, in parts.

    Args:
        file: The same file.
        parquet: What was opened.
        column: Its name.
        rows: Of a part; fewer where a value that is written once might stand in many of them.
    """
    pieces = (
        piece for piece in _pieces(parquet.metadata) if _is_of(piece.path_in_schema, [column])
    )
    largest = max((piece.total_uncompressed_size for piece in pieces), default=0)
    rows = min(rows, max(1, _most_bytes(file.stat().st_size) // max(1, largest)))
    for batch in parquet.iter_batches(rows, columns=[column]):
        yield batch.column(0)


def check_values(size: int, values: int) -> None:
    """Refuse a file of `size` bytes that stands for so many values.

    Raises:
        ValueError: They are out of all proportion.
    """
    if values > max(_VALUES, _VALUES_PER_BYTE * size):
        raise ValueError(f"its {size:,} bytes stand for {values:,} values")


def check_bytes(size: int, unpacked: int) -> None:
    """Refuse a file of `size` bytes that stands for so many bytes.

    Raises:
        ValueError: They are out of all proportion.
    """
    if unpacked > _most_bytes(size):
        raise ValueError(f"its {size:,} bytes stand for {unpacked:,} bytes")


class Allowance:
    """What the rows of a file may stand for together, in bytes.

    Args:
        size: The bytes of the file.
    """

    def __init__(self, size: int) -> None:
        self._size, self._taken = size, 0

    def take(self, count: int) -> None:
        """Count some bytes.

        Raises:
            ValueError: With them, all are out of proportion.
        """
        self._taken += count
        check_bytes(self._size, self._taken)


def _is_of(path: str, columns: Sequence[str]) -> bool:
    """Whether the path of a piece is that of one of some columns, or of something inside it."""
    return any(path == name or path.startswith(f"{name}.") for name in columns)


def _most_bytes(size: int) -> int:
    return max(_BYTES, _BYTES_PER_BYTE * size)


def _check_pieces(file: Path) -> None:
    """Have PyArrow look at what a file says of its pieces, and read none of them.

    Asked for one piece of a file in which that is broken, it would end the process.

    Raises:
        OSError: It is broken.
    """
    with file.open("rb") as source:
        parquet = pq.ParquetFile(source, pre_buffer=True)
    with suppress(ValueError):  # the file is closed
        next(parquet.iter_batches(1), None)


def _pieces(metadata: Any) -> Iterator[Any]:
    """Every column of every group of rows."""
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group)
        yield from (rows.column(column) for column in range(metadata.num_columns))


def _lengths(file: Path, paths: list[str]) -> Iterator[int]:
    """How many bytes the texts in some columns have, part by part; each text is read once."""
    parquet = pq.ParquetFile(file, read_dictionary=paths)
    for batch in parquet.iter_batches(_ROWS, columns=paths):
        for column in batch.columns:
            for texts in _dictionaries(column):
                lengths = pc.binary_length(texts.dictionary)
                yield pc.sum(lengths.take(texts.indices)).as_py() or 0


def _dictionaries(column: Any) -> Iterator[Any]:
    """The arrays of texts in a column, which may have lists and structs in it."""
    if pa.types.is_dictionary(column.type):
        yield column
    elif pa.types.is_struct(column.type):
        for field in column.flatten():
            yield from _dictionaries(field)
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        yield from _dictionaries(column.flatten())
