"""One table to samples, each cell checked."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.data.readers.samples import NO_SPLIT, NOTHING, SPLIT_NAMES, Samples
from cage_lightning.data.readers.table.columns import Columns, find_columns, is_guessed, plain
from cage_lightning.data.readers.table.embedded import embedded_pictures
from cage_lightning.data.readers.table.formats import open_table
from cage_lightning.data.readers.table.paths import below, problem_of, slashes
from cage_lightning.data.readers.table.places import METADATA, Place
from cage_lightning.data.readers.table.raw import JOINT, RawTable
from cage_lightning.errors import ConfigError
from cage_lightning.system.delimited import with_point

logger = logging.getLogger(__name__)

_BOX_NUMBER = re.compile(r"[^\s,;()\[\]]+")


@dataclass(frozen=True)
class Meaning:
    """What the settings say of a table.

    Attributes:
        columns: See `find_columns`.
        affect: See `find_columns`.
        affect_range: Lowest and highest value of affect in the table.
        soft: See `find_columns`.
        groups: See `find_columns`.
        categories: Texts that stand for categories, even one such as ``none``.
        multi_label: Whether a cell may name several categories.
        separator: Between them.
        missing: Further texts that stand for no value.
        strip: The folder that absolute paths begin with, taken away.
    """

    columns: Mapping[str, Any]
    affect: Any
    affect_range: tuple[float, float]
    soft: Any
    groups: Any
    categories: frozenset[str]
    multi_label: bool
    separator: str
    missing: frozenset[str]
    strip: str | None


def read_samples(root: Path, place: Place, meaning: Meaning) -> Samples:
    """Read a table; what is wrong in its cells is noted in `Samples.faults`.

    Args:
        root: Folder of the pictures.
        place: The table.
        meaning: What its columns are.

    Raises:
        ConfigError: A column that a setting names is not there.
        DataError: The file is missing or broken, or does not say where the pictures are.
    """
    named = {plain(name) for name in _texts_in(meaning)}
    table = open_table(place.file, lambda name: is_guessed(name) or plain(name) in named)
    columns = find_columns(table, meaning.columns, meaning.affect, meaning.soft, meaning.groups)
    return _Reader(root, table, columns, meaning).samples(place)


class _Reader:
    """The cells of one table."""

    def __init__(self, root: Path, table: RawTable, columns: Columns, meaning: Meaning) -> None:
        self.root, self.table, self.columns, self.meaning = root, table, columns, meaning
        self.known = set(meaning.categories)  # even one such as none
        n, roles = len(table.places), columns.roles
        theirs = {**roles, **columns.affect, **{f"soft {k}": v for k, v in columns.soft.items()}}
        if len(columns.categories) == 1:
            theirs["category"] = columns.categories[0]
        self.found = Samples(
            root=root,
            origin=str(table.file),
            file=[table.file] * n,
            place=table.places,
            picture=[""] * n,
            id=[_whole(text) for text in self._texts("id")] if "id" in roles else None,
            split=[""] * n,
            names=[()] * n,
            affect=np.full((n, len(columns.affect)), np.nan),
            dimensions=tuple(columns.affect),
            groups={ours: self._column(there) for ours, there in columns.groups.items()},
            columns=theirs,
            faults=[(None, fault) for fault in table.faults],
        )

    def samples(self, place: Place) -> Samples:
        """All of them."""
        self._read_pictures(place.pictures)
        self._read_splits(place.split)
        self._read_categories()
        self._read_affect()
        self._read_soft()
        self._read_boxes()
        return self.found

    def _column(self, there: str) -> list[str]:
        try:
            return self.table.texts(there)
        except ValueError as error:
            raise ConfigError(f"{self.table.file}: the column {there!r} {error}") from error

    def _texts(self, role: str) -> list[str]:
        return self._column(self.columns.roles[role])

    def _is_missing(self, text: str) -> bool:
        return text.casefold() in NOTHING or _whole(text) in self.meaning.missing

    def _read_pictures(self, folder: str) -> None:
        strip = None if self.meaning.strip is None else slashes(self.meaning.strip).rstrip("/")
        column = self.columns.roles["picture"]
        held = column in self.table.embedded
        texts = embedded_pictures(self.root, self.table, column) if held else self._column(column)
        for row, text in enumerate(texts):
            path = below(self.root, slashes(text), strip)
            if folder and text and path == slashes(text):
                path = f"{folder}/{path}"
            self.found.picture[row] = path
            if text == "":
                self.found.refuse(row, "picture", text, "names no picture")
            elif problem := problem_of(self.root, path):
                self.found.refuse(row, "picture", text, problem)

    def _read_splits(self, split: str) -> None:
        self.found.split = [split] * len(self.found)
        if split:
            return
        if "split" not in self.columns.roles:
            if (
                self.table.file.stem.casefold() == METADATA
                and self.meaning.columns.get("split") is None
            ):
                self._read_folders_of_splits()
            return
        for row, text in enumerate(self._texts("split")):
            name = SPLIT_NAMES.get(re.sub(r"[\W_]+", "", text.casefold()), "")
            self.found.split[row] = name
            if self._is_missing(text):
                self.found.split[row] = NO_SPLIT
            elif not name:
                self.found.refuse(
                    row,
                    "split",
                    text,
                    "is none of train, val and test (Training, valid, PublicTest, ...): correct "
                    "it, or ignore the column with data.columns.split=''",
                )

    def _read_folders_of_splits(self) -> None:
        """Take the splits from the folders of the pictures, where all are called as splits are."""
        folders = [picture.partition("/")[0].casefold() for picture in self.found.picture]
        splits = [SPLIT_NAMES.get(folder, "") for folder in folders]
        if all(splits) and len(set(splits)) > 1:
            logger.info(
                "%s: splits are the folders %s", self.table.file, ", ".join(sorted({*folders}))
            )
            self.found.split = splits

    def _read_categories(self) -> None:
        names = self.columns.categories
        if len(names) == 1:
            listed = filter(None, map(_whole, self.table.classes.get(names[0], ())))
            self.found.stated = tuple(dict.fromkeys(listed))
            self.known |= set(self.found.stated)
            self.found.names = [self._names(text) for text in self._column(names[0])]
            return
        found: list[list[str]] = [[] for _ in range(len(self.found))]
        for name in names:
            self.found.columns = {**self.found.columns, "category": name}
            for row, text in enumerate(self._column(name)):
                if (flag := _FLAGS.get(_whole(text).casefold())) is None and not self._is_missing(
                    text
                ):
                    self.found.refuse(row, "category", text, "is neither 0 nor 1")
                elif flag:
                    found[row].append(name)
        self.found.names = [tuple(one) for one in found]

    def _names(self, text: str) -> tuple[str, ...]:
        parts = [text]
        if self.meaning.multi_label:
            parts = text.split(JOINT if JOINT in text else self.meaning.separator)
        names = [_whole(part.strip().replace(JOINT, ", ")) for part in parts]
        return tuple(dict.fromkeys(n for n in names if n in self.known or not self._is_missing(n)))

    def _read_affect(self) -> None:
        low, high = self.meaning.affect_range
        for d, (dimension, there) in enumerate(self.columns.affect.items()):
            values = self.found.affect[:, d]
            values[:] = self._numbers(dimension, there)
            for row in np.flatnonzero((values < low) | (values > high)).tolist():
                self.found.refuse(
                    row,
                    dimension,
                    f"{values[row]:g}",
                    f"lies outside the scale [{low:g}, {high:g}] of data.affect_range: state the "
                    f"table's own scale, correct the value, or list it in data.missing",
                )

    def _read_soft(self) -> None:
        if not self.columns.soft:
            return
        shares = np.zeros((len(self.found), len(self.columns.soft)))
        for k, (name, there) in enumerate(self.columns.soft.items()):
            shares[:, k] = np.nan_to_num(self._numbers(f"soft {name}", there))
            for row in np.flatnonzero(shares[:, k] < 0).tolist():
                self.found.refuse(
                    row, f"soft {name}", f"{shares[row, k]:g}", "is no share or number of votes"
                )
        self.found.soft, self.found.soft_names = shares, tuple(self.columns.soft)

    def _read_boxes(self) -> None:
        roles = self.columns.roles
        if "box" in roles:
            box = self._box_cells()
            columns = ["box"] * 4
        elif "left" in roles:
            columns = [
                "left",
                "top",
                *(r for r in ("right", "width", "bottom", "height") if r in roles),
            ]
            box = np.stack([self._numbers(role, roles[role]) for role in columns], axis=1)
            for end, size in ((2, "width"), (3, "height")):
                if columns[end] == size:
                    box[:, end] += box[:, end - 2]
        else:
            return
        self.found.box = box
        for row in np.flatnonzero(~((box[:, 0] < box[:, 2]) & (box[:, 1] < box[:, 3]))).tolist():
            known = ~np.isnan(box[row])
            value = "" if not known.any() else f"{box[row].tolist()}"
            self.found.refuse(
                row, columns[0], value, "is no box: left < right and top < bottom, in pixels"
            )

    def _box_cells(self) -> npt.NDArray[np.float64]:
        box = np.full((len(self.found), 4), np.nan)
        for row, text in enumerate(self._texts("box")):
            parts = _BOX_NUMBER.findall(text.replace(JOINT, " "))
            numbers = [_number(part) for part in parts]
            if len(numbers) == 4 and None not in numbers:
                box[row] = numbers
        return box

    def _numbers(self, role: str, there: str) -> npt.NDArray[np.float64]:
        """The numbers of a column, NaN where there is none."""
        values = np.full(len(self.found), np.nan)
        for row, text in enumerate(self._column(there)):
            if self._is_missing(text):
                continue
            number = _number(with_point(text) if self.table.decimal_comma else text)
            if number is None:
                self.found.refuse(row, role, text, "is not a number")
            else:
                values[row] = number
        return values


_FLAGS = {"1": True, "true": True, "yes": True, "x": True, "0": False, "false": False, "no": False}


def _number(text: str) -> float | None:
    """A finite number; None if the text is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) and "_" not in text else None


def _whole(text: str) -> str:
    """A whole number without the fraction that programs write where cells are missing."""
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", text)


def _texts_in(meaning: Meaning) -> list[str]:
    """The names of columns that the settings say."""
    found: list[str] = []
    for setting in (meaning.columns, meaning.affect, meaning.soft, meaning.groups):
        values = setting.values() if isinstance(setting, Mapping) else setting or ()
        for value in values:
            found += [value] if isinstance(value, str) else map(str, value or ())
    return found
