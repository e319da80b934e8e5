"""Files of rows, written part by part: what is there survives a kill, and the same job goes on.

Beside ``faces.parquet`` there is, until the job is done, a folder ``faces.parquet.parts`` with its
description and what was found so far, as parquet files. A job that is interrupted also leaves
``faces.partial.parquet``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cage_lightning.errors import ConfigError, DataError, first_line
from cage_lightning.faces.pipeline import BEGIN, Position
from cage_lightning.faces.rows import Row
from cage_lightning.faces.tables import delete_table, read_about, replacing_table
from cage_lightning.system.atomic import Held, locked, replacing, write_atomic

_NEXT = b"next"
_JOB = "job.json"
_LOCK = "lock"

Completed = Callable[[Iterable[Row]], Iterator[Row]]
"""Adds to rows what needs those before."""


@dataclass(frozen=True)
class Counts:
    """What is in a file of rows: how many files, frames of videos, faces and faults."""

    files: int = 0
    frames: int = 0
    faces: int = 0
    faults: int = 0


class Results:
    """The rows of a job.

    Args:
        output: The file to write: .parquet, .csv or .jsonl.
        schema: Of the rows.
        about: What the job is, as JSON values; a job with another description is another one.
    """

    def __init__(self, output: Path, schema: pa.Schema, about: Mapping[str, Any]) -> None:
        self.output, self.about = output, dict(about)
        self.schema = schema
        self.folder = output.with_name(f"{output.name}.parts")
        self.partial = output.with_name(f"{output.stem}.partial{output.suffix}")

    def finished(self) -> Counts | None:
        """What is in the output, if the job is done.

        Raises:
            ConfigError: The output is there, and of something else.
        """
        if not self.output.exists():
            return None
        found = read_about(self.output)
        if found.get("job") != self.about:
            raise ConfigError(
                f"{self.output} is there already, of other settings or another source: delete it, "
                "or choose another output=FILE"
            )
        return Counts(**found["counts"])

    @contextmanager
    def opened(self) -> Iterator[Position]:
        """Hold the folder of the parts.

        Yields:
            Where to go on.

        Raises:
            ConfigError: Another process holds it, or it is of another job.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.folder / _LOCK, wait=False):
                self._describe()
                yield self._position()
        except Held:
            raise ConfigError(
                f"{self.output} is being written by another process: wait for it, or choose "
                "another output=FILE"
            ) from None

    def add(self, rows: Sequence[Row], after: Position) -> None:
        """Write a part.

        Args:
            rows: Of the frames since the last part.
            after: Where to go on.
        """
        schema = self.schema.with_metadata({_NEXT: json.dumps(after).encode()})
        table = pa.Table.from_pylist(list(rows), schema)
        with replacing(self.folder / f"part-{len(self._parts()):08d}.parquet") as part:
            pq.write_table(table, part, write_page_checksum=True)

    def write(self, completed: Completed, partial: bool = False) -> Counts:
        """Write what was found, part after part, and unless it is partial delete the parts."""
        target = self.partial if partial else self.output
        counts, seen = Counts(), ""
        about = {"job": self.about}
        with replacing_table(target, self.schema, about) as write:
            for part in self._parts():
                rows = list(completed(_read(part).to_pylist()))
                write(pa.Table.from_pylist(rows, self.schema))
                counts, seen = _counted(counts, rows, seen)
            about["counts"] = asdict(counts)
        if not partial:
            delete_table(self.partial)
            shutil.rmtree(self.folder)
        return counts

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _describe(self) -> None:
        job = self.folder / _JOB
        description = json.dumps(self.about | {"digest": _digest(self.about)}, indent=2)
        if not job.exists():
            write_atomic(job, description)
        elif job.read_text(encoding="utf-8") != description:
            raise ConfigError(
                f"{self.folder} holds an unfinished job with other settings or another source: "
                "delete it, or choose another output=FILE"
            )

    def _position(self) -> Position:
        parts = self._parts()
        if not parts:
            return BEGIN
        try:
            return Position(*json.loads(pq.read_schema(parts[-1]).metadata[_NEXT]))
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
            raise _damaged(parts[-1], error) from error


def _read(part: Path) -> pa.Table:
    try:
        return pq.read_table(part, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(part, error) from error


def _damaged(part: Path, error: Exception) -> DataError:
    return DataError(f"{part} is damaged ({first_line(error)}): delete the folder around it")


def _digest(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _counted(counts: Counts, rows: Sequence[Row], seen: str) -> tuple[Counts, str]:
    """The counts with some more rows, and the last file in them; `seen` is the one before."""
    files, frames, faces, faults = counts.files, counts.frames, counts.faces, counts.faults
    for row in rows:
        files += row["file"] != seen
        seen = row["file"]
        frames += row["frame"] is not None and row["fault"] is None and row["face"] in (None, 0)
        faces += row["face"] is not None
        faults += row["fault"] is not None
    return Counts(files, frames, faces, faults), seen
