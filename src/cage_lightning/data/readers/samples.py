"""Samples of a data set of somebody's own, before its categories and splits are settled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.data.readers.faults import Fault
from cage_lightning.errors import DataError

SPLIT_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "publictest"), "val"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}
"""What people call a split, in lower case."""

NO_SPLIT = "-"
"""The split of a row in whose column of splits nothing stands."""

NOTHING = ("", "nan", "na", "n/a", "<na>", "none", "null")
"""Texts that stand for no value, in lower case."""


@dataclass
class Samples:
    """One row for each sample, as a reader found it.

    Attributes:
        root: Folder that the pictures are relative to.
        file: The table, or the folder that was read, of each row.
        place: Where a person finds each row in it, as in ``line 5``; empty for a folder.
        picture: Paths relative to `root`, with ``/`` in between.
        split: ``train``, ``val``, ``test`` or `NO_SPLIT`; empty where the data set has no splits.
        names: The categories of each row as the data set calls them; none where not annotated.
        id: Given ids; None: made from the pictures.
        affect: float64 ``[N, D]`` in the scale of the data set, NaN where not annotated.
        dimensions: What its columns are; none: there is no affect.
        origin: The tables or the folder, for messages; by default all of `file`.
        soft: float64 ``[N, K]``, votes or shares of `soft_names`, 0 where not annotated.
        soft_names: The categories of `soft`.
        stated: All categories in the order in which the data set lists them; none: it does not.
        box: float64 ``[N, 4]``, left, top, right and bottom edge in pixels; None without.
        groups: Name -> text of each row.
        columns: Our name of a column -> that of the file, for messages.
        faults: Wrong cells, with the row that has them; None for what is no row.
        left_out: (split, reason) -> number of rows that are not samples.
    """

    root: Path
    file: list[Path]
    place: list[str]
    picture: list[str]
    split: list[str]
    names: list[tuple[str, ...]]
    id: list[str] | None = None
    affect: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    dimensions: tuple[str, ...] = ()
    origin: str = ""
    soft: npt.NDArray[np.float64] | None = None
    soft_names: tuple[str, ...] = ()
    stated: tuple[str, ...] = ()
    box: npt.NDArray[np.float64] | None = None
    groups: Mapping[str, list[str]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    faults: list[tuple[int | None, Fault]] = field(default_factory=list)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.origin = self.origin or ", ".join(dict.fromkeys(map(str, self.file)))
        if not self.dimensions:
            self.affect = np.empty((len(self.picture), 0))

    def __len__(self) -> int:
        return len(self.picture)

    def where(self, row: int) -> str:
        """The place of a row, for messages."""
        return ", ".join(filter(None, (str(self.file[row]), self.place[row])))

    def refuse(self, row: int, column: str, value: str, problem: str) -> None:
        """Note a wrong cell; `column` is our name for it."""
        there = self.columns.get(column, "")
        fault = Fault(self.file[row], self.place[row], there, value, problem)
        self.faults.append((row, fault))

    def category_names(self) -> set[str]:
        """All that there are."""
        return {name for names in self.names for name in names}

    def ids(self) -> list[str]:
        """The id of each row."""
        return self.id if self.id is not None else ids_of(self.picture)

    def rows_of(self, split: str) -> npt.NDArray[np.int64]:
        """The rows of a split."""
        return np.flatnonzero(np.array(self.split, np.str_) == split)

    def leave_out(self, row: int, reason: str) -> None:
        """Count a row as left out."""
        split = self.split[row]
        self.left_out["train" if split in ("", NO_SPLIT) else split, reason] += 1

    def rename_split(self, old: str, new: str) -> None:
        """Give a split another name."""
        self.split = [new if split == old else split for split in self.split]
        for of, reason in [key for key in self.left_out if key[0] == old]:
            self.left_out[new, reason] += self.left_out.pop((of, reason))

    def select(self, rows: npt.NDArray[np.bool_]) -> Samples:
        """The rows of a mask."""
        place = np.cumsum(rows) - 1

        def some(values: list[Any]) -> list[Any]:
            return [value for value, kept in zip(values, rows.tolist(), strict=True) if kept]

        return Samples(
            root=self.root,
            origin=self.origin,
            file=some(self.file),
            place=some(self.place),
            picture=some(self.picture),
            id=None if self.id is None else some(self.id),
            split=some(self.split),
            names=some(self.names),
            affect=self.affect[rows],
            dimensions=self.dimensions,
            soft=None if self.soft is None else self.soft[rows],
            soft_names=self.soft_names,
            stated=self.stated,
            box=None if self.box is None else self.box[rows],
            groups={name: some(column) for name, column in self.groups.items()},
            columns=self.columns,
            faults=[
                (None if row is None else int(place[row]), fault)
                for row, fault in self.faults
                if row is None or rows[row]
            ],
            left_out=Counter(self.left_out),
        )


def joined(parts: Sequence[Samples]) -> Samples:
    """The samples of several files, one after the other, with the groups that all of them have.

    Raises:
        DataError: One of them has ids, boxes, affect or shares of other categories than another.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts:
        _check_alike(part, first)
    groups = [name for name in first.groups if all(name in part.groups for part in parts)]
    offsets = np.cumsum([0, *map(len, parts)]).tolist()
    return Samples(
        root=first.root,
        origin=", ".join(part.origin for part in parts),
        file=[one for part in parts for one in part.file],
        place=[one for part in parts for one in part.place],
        picture=[one for part in parts for one in part.picture],
        id=None if first.id is None else [one for part in parts for one in part.id or ()],
        split=[one for part in parts for one in part.split],
        names=[one for part in parts for one in part.names],
        affect=np.concatenate([part.affect for part in parts]),
        dimensions=first.dimensions,
        soft=_stacked([part.soft for part in parts]),
        soft_names=first.soft_names,
        stated=first.stated if all(part.stated == first.stated for part in parts) else (),
        box=_stacked([part.box for part in parts]),
        groups={name: [text for part in parts for text in part.groups[name]] for name in groups},
        columns=first.columns,
        faults=[
            (None if row is None else row + offset, fault)
            for part, offset in zip(parts, offsets, strict=False)
            for row, fault in part.faults
        ],
        left_out=sum((part.left_out for part in parts), Counter[tuple[str, str]]()),
    )


def _check_alike(part: Samples, first: Samples) -> None:
    theirs, ours = _kinds(part), _kinds(first)
    for kind, value in ours.items():
        if theirs[kind] != value:
            raise DataError(
                f"{part.origin}: data.{kind} finds {theirs[kind] or 'nothing'}, and in "
                f"{first.origin} {value or 'nothing'}: give all tables the same columns, or say "
                f"in data.{kind} which to read"
            )


def _kinds(samples: Samples) -> dict[str, str]:
    """What a file tells, by the setting that chooses it."""
    return {
        "columns.id": "" if samples.id is None else "a column",
        "columns.box": "" if samples.box is None else "a column",
        "affect": ", ".join(samples.dimensions),
        "soft": ", ".join(samples.soft_names),
    }


def _stacked(
    columns: Sequence[npt.NDArray[np.float64] | None],
) -> npt.NDArray[np.float64] | None:
    there = [column for column in columns if column is not None]
    return np.concatenate(there) if there else None


def ids_of(pictures: Sequence[str]) -> list[str]:
    """Pictures without suffix, or with it if two would be called the same."""
    plain = [picture.rpartition(".")[0] or picture for picture in pictures]
    clear = len(set(plain)) == len(set(pictures))
    return plain if clear else list(pictures)


def in_order(names: Iterable[str]) -> list[str]:
    """Names sorted whatever their case, numbers by their value."""
    return sorted(
        set(names),
        key=lambda name: (
            (0, int(name), "", name)
            if re.fullmatch(r"\d{1,18}", name)
            else (1, 0, name.casefold(), name)
        ),
    )
