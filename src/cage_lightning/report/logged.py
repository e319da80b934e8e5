"""What a training has logged as CSV, start by start."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cage_lightning.errors import DataError
from cage_lightning.system.paths import is_inside

_START = re.compile(r"version_(\d{1,9})")


def logged_rows(folder: Path) -> Iterator[tuple[Path, list[dict[Any, Any]]]]:
    """Yield the file and the rows of each start of a run, the first start first.

    Each start left a file (``csv/version_<start>/metrics.csv``). A row without its end, which was
    being written when the run was killed, is left out.

    Args:
        folder: The run folder; a link that leads out of it is not followed.

    Raises:
        DataError: A file cannot be read.
    """
    starts = {
        int(name[1]): file
        for file in folder.glob("csv/version_*/metrics.csv")
        if (name := _START.fullmatch(file.parent.name)) and is_inside(folder, file)
    }
    for _, file in sorted(starts.items()):
        try:
            with file.open(encoding="utf-8", newline="") as opened:
                rows = [row for row in csv.DictReader(opened) if None not in row.values()]
        except (OSError, ValueError, csv.Error) as error:
            raise no_log(file, error) from error
        yield file, rows


def no_log(file: Path, error: Exception) -> DataError:
    """The error for a file with something that no training logs."""
    return DataError(f"{file} is no log of a training: {error}")
