"""What describes samples besides their labels (age, gender, ...), from a table of its own.

A CSV or parquet file with the column ``id`` and one column for each group. Ids and groups are
texts, and a value that stands for none (``nan``, ``NA``, ...) is not known.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cage_lightning.errors import ConfigError, DataError, first_line
from cage_lightning.predictions.columns import NOTHING, ids_of
from cage_lightning.system.delimited import read_delimited
from cage_lightning.system.parquet import open_parquet, read_whole

log = logging.getLogger(__name__)

Groups = Mapping[str, npt.NDArray[np.str_]]
"""By name, str ``[N]``, empty text where it is not known."""
_ID = "id"


@dataclass(frozen=True)
class GroupTable:
    """Groups of samples by their ids.

    Attributes:
        path: The file.
        row: The row of each id.
        groups: The columns.
    """

    path: Path
    row: Mapping[str, int]
    groups: Groups

    def added_to(self, ids: npt.NDArray[np.str_], known: Groups) -> dict[str, npt.NDArray[np.str_]]:
        """The groups of samples, those that are known and those of the table.

        Args:
            ids: Those of the samples, ``[N]``.
            known: Their groups by now.

        Raises:
            DataError: No id is in the table, or it contradicts what is known.
        """
        row = np.array([self.row.get(name, -1) for name in ids.tolist()], np.int64)
        there = row >= 0
        if not there.any():
            raise DataError(
                f"{self.path}: none of its {len(self.row)} ids is a sample; samples are called "
                f"as in {str(ids[0])!r}, and its ids as in {next(iter(self.row))!r}"
            )
        found = dict(known)
        for name, column in self.groups.items():
            ours, before = np.where(there, column[row], ""), known.get(name)
            found[name] = ours if before is None else self._merged(name, ids, before, ours)
        return found

    def tell(self, ids: npt.NDArray[np.str_]) -> None:
        """Log how many samples the table lacks, and how many of its ids are no samples."""
        missing = len(set(ids.tolist()) - self.row.keys())
        strange = len(self.row.keys() - set(ids.tolist()))
        if missing:
            log.warning("%s: %d of %d samples are not in it", self.path, missing, len(ids))
        if strange:
            log.info("%s: %d of its %d ids are no samples", self.path, strange, len(self.row))

    def _merged(
        self,
        name: str,
        ids: npt.NDArray[np.str_],
        before: npt.NDArray[np.str_],
        ours: npt.NDArray[np.str_],
    ) -> npt.NDArray[np.str_]:
        differs = np.flatnonzero((before != "") & (ours != "") & (before != ours))
        if len(differs):
            first = differs[0]
            raise DataError(
                f"{self.path}: {name} of {str(ids[first])!r} is {str(ours[first])!r}, and "
                f"{str(before[first])!r} in the data ({len(differs)} such samples): correct it, "
                "or give the column another name"
            )
        return np.where(before != "", before, ours)


def read_groups(path: Path) -> GroupTable:
    """Read a table of groups.

    Raises:
        ConfigError: No such file, or another kind of file.
        DataError: It cannot be read; there is no column ``id``, no other one, or a name twice; an
            id is empty or occurs twice. The row is counted from 0.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv", ".tsv"):
        raise ConfigError(f"{path}: a table of groups ends in .parquet or .csv")
    try:
        columns = _parquet(path) if suffix == ".parquet" else read_delimited(path, _is_id)
    except (pa.ArrowException, OSError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"{path}: not a readable {suffix} file: {first_line(error)}") from None
    names = [_ID if _is_id(name) else name.strip() for name, _ in columns]
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise DataError(f"{path}: the column {twice[0]!r} is there twice: leave one out")
    by_name = dict(zip(names, (values for _, values in columns), strict=True))
    by_name.pop("", None)  # without a name, such as the numbers of rows that some programs add
    if _ID not in by_name or len(by_name) < 2:
        raise DataError(
            f"{path}: expected the columns id and at least one group, such as id,gender,age; it "
            f"has {', '.join(by_name) or 'none'}"
        )
    ids = ids_of(path, by_name.pop(_ID))
    if not len(ids):
        raise DataError(f"{path}: there is no row in it")
    return GroupTable(
        path,
        {name: row for row, name in enumerate(ids.tolist())},
        {name: np.array([_text(x) for x in values], np.str_) for name, values in by_name.items()},
    )


def _parquet(path: Path) -> list[tuple[str, list[Any]]]:
    table = read_whole(path, open_parquet(path))
    table.validate(full=True)
    columns = zip(table.column_names, table.columns, strict=True)
    return [(name, column.to_pylist()) for name, column in columns]


def _is_id(name: str) -> bool:
    return name.strip().casefold() == _ID


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(value).strip()
    return "" if text.casefold() in NOTHING else text
