"""The pictures that a table holds in a column of its own."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from tarfile import TarError

import pyarrow as pa

from cage_lightning.data.formats import is_picture
from cage_lightning.data.readers.table.raw import RawTable
from cage_lightning.data.readers.unpacking import is_unpacked, unpack
from cage_lightning.errors import DataError, first_line

logger = logging.getLogger(__name__)

_ROWS = "rows.json"


def embedded_pictures(root: Path, table: RawTable, column: str) -> list[str]:
    """Where the pictures of a table lie, which are unpacked if they are not there yet.

    They are files in a hidden folder, because they follow from the table; they are called by their
    row. Of the paths in the table only the ending is used, and a picture of which there is nothing
    but a path is taken to be a file below the root.

    Args:
        root: The folder of the data set.
        table: Which has them.
        column: Of `RawTable.embedded`.

    Returns:
        For each row the path below `root`; empty where there is no picture.

    Raises:
        DataError: The table cannot be read.
        OutputError: There is no room for the pictures, or they may not be written.
    """
    folder = root / ".pictures" / _name(root, table.file)
    stat = table.file.stat()
    about = {"column": column, "bytes": stat.st_size, "modified": stat.st_mtime_ns}
    if not is_unpacked(folder, about):
        logger.info("%s: unpacking the pictures into %s, once", table.file, folder)
        unpack(folder, about, _files(table, column))
    start = folder.relative_to(root).as_posix()
    rows = json.loads((folder / _ROWS).read_bytes())
    return [f"{start}/{name}" if unpacked else name for unpacked, name in rows]


def _name(root: Path, file: Path) -> Path:
    """A folder name of a table, which no other table has."""
    root, file = root.resolve(), file.resolve()  # root/../file lies outside
    if file.is_relative_to(root):
        return file.relative_to(root)
    return Path(f"{file.name}-{hashlib.sha256(os.fsencode(file)).hexdigest()[:12]}")


def _files(table: RawTable, column: str) -> Iterator[tuple[str, bytes]]:
    """The pictures, and which row has which."""
    rows: list[tuple[bool, str]] = []
    try:
        for row, (path, content) in enumerate(table.embedded[column](), start=1):
            name = f"{row:08d}{Path(path).suffix.lower() if is_picture(path) else ''}"
            rows.append((True, name) if content else (False, path))
            if content:
                yield name, content
    except (pa.ArrowException, TarError, OSError, ValueError) as error:
        raise DataError(f"{table.file}: not readable: {first_line(error)}") from error
    yield _ROWS, json.dumps(rows).encode()
