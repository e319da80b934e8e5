"""The annotations of EMOTIC: its own file, or the CSV files that the common converter makes."""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.io import loadmat

from cage_lightning.data.readers.emotic.nesting import check_nesting
from cage_lightning.errors import DataError
from cage_lightning.labels import EMOTIC


class Person(NamedTuple):
    """One person as a release describes them.

    Attributes:
        where: The place in the release, for messages.
        folder: Of the picture, for example ``mscoco/images``.
        filename: Of the picture.
        size: Width and height of the picture.
        box: Left, top, right, bottom edge of the body; may reach over the picture.
        categories: Names, as spelled there.
        affect: Valence, arousal, dominance from 1 to 10; NaN where not annotated.
        annotated: Whether the release lists an annotator for categories and one for affect.
        gender: Male or Female.
        age: Kid, Teenager or Adult.
    """

    where: str
    folder: str
    filename: str
    size: tuple[float, float]
    box: tuple[float, ...]
    categories: list[str]
    affect: list[float]
    annotated: bool
    gender: str
    age: str


class Release(NamedTuple):
    """A layout on disk: what it looks like, where a split may lie, and what reads it."""

    layout: str
    places: tuple[str, ...]
    read: Callable[[Path, str], Iterator[Person]]


# --- Annotations.mat: nested structs -------------------------------------------------------------


def _read_mat(source: Path, split: str) -> Iterator[Person]:
    try:
        check_nesting(source, split)
        content = loadmat(source, squeeze_me=True, struct_as_record=False, variable_names=(split,))
        pictures = np.atleast_1d(content[split])
    except Exception as error:  # scipy's reader lets all kinds of errors through.
        raise DataError(
            f"{source}: cannot read {split!r} in there: {type(error).__name__}: {error}. "
            "Restore the file."
        ) from error
    for i, picture in enumerate(pictures):
        where = f"{source}, {split}({i + 1})"  # as MATLAB counts
        try:
            for j, person in enumerate(np.atleast_1d(picture.person)):
                yield _person_of_mat(f"{where}.person({j + 1})", picture, person, split == "train")
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError(f"{where}: not as in the release of EMOTIC: {error}") from error


def _person_of_mat(where: str, picture: Any, person: Any, single: bool) -> Person:
    """A person by field names. Squeezing leaves the bare value of what holds one element."""
    dimensions = EMOTIC.dimensions
    annotators = np.atleast_1d(person.annotations_categories)
    raters = np.atleast_1d(person.annotations_continuous)
    if single:
        names = [name for first in annotators[:1] for name in np.atleast_1d(first.categories)]
        affect = raters
    else:
        names = list(np.atleast_1d(person.combined_categories))
        affect = np.atleast_1d(person.combined_continuous)
    return Person(
        where=where,
        folder=_text(picture.folder).strip("/"),
        filename=_text(picture.filename),
        size=(float(picture.image_size.n_col), float(picture.image_size.n_row)),
        box=tuple(np.asarray(person.body_bbox, dtype=np.float64).ravel().tolist()),
        categories=[str(name) for name in names],
        affect=[_number(getattr(affect[0], d)) if affect.size else np.nan for d in dimensions],
        annotated=len(annotators) > 0 and len(raters) > 0,
        gender=_text(person.gender),
        age=_text(person.age),
    )


def _text(value: Any) -> str:
    """A text, the empty one for an empty array."""
    return "".join(np.atleast_1d(value).tolist())


def _number(value: Any) -> float:
    """A number, NaN for an empty array."""
    array = np.asarray(value, dtype=np.float64).ravel()
    return float(array[0]) if array.size else np.nan


# --- the converter's CSV: lists as Python text ---------------------------------------------------


def _read_csv(source: Path, split: str) -> Iterator[Person]:
    with source.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        try:
            for row in rows:
                if None in row or None in row.values():
                    raise ValueError("another number of fields than the header")
                yield _person_of_csv(f"{source}, line {rows.line_num}", row)
        except Exception as error:  # literal_eval lets all kinds of errors through.
            raise DataError(
                f"{source}, line {rows.line_num}: {type(error).__name__}: {error}; expected the "
                "columns Folder, Filename, Image Size, BBox, Categorical_Labels, "
                "Continuous_Labels, Gender, Age, the lists as in [1, 2]"
            ) from error


def _person_of_csv(where: str, row: dict[str, str]) -> Person:
    # The converter's variables call them row and column, but this is [width, height].
    width, height = _numbers(row, "Image Size")
    return Person(
        where=where,
        folder=row["Folder"].strip("/"),
        filename=row["Filename"],
        size=(width, height),
        box=tuple(_numbers(row, "BBox")),
        categories=[str(name) for name in _list(row, "Categorical_Labels")],
        affect=_numbers(row, "Continuous_Labels"),
        annotated=True,
        gender=row["Gender"],
        age=row["Age"],
    )


def _numbers(row: dict[str, str], column: str) -> list[float]:
    """The numbers of a list, NaN for None."""
    try:
        return [np.nan if value is None else float(value) for value in _list(row, column)]
    except (TypeError, ValueError):
        raise _no_list(row, column) from None


def _list(row: dict[str, str], column: str) -> list[Any] | tuple[Any, ...]:
    """A list written as Python text; the characters of a text would pass for one as well."""
    # NumPy 2 writes np.float64(5.0), and an unknown number has no name in Python.
    text = re.sub(r"\b(?:np|numpy)\.\w+\(([^()]*)\)", r"\1", row[column])
    try:
        values = ast.literal_eval(re.sub(r"\bnan\b", "None", text, flags=re.IGNORECASE))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise _no_list(row, column) from None
    if not isinstance(values, list | tuple):
        raise _no_list(row, column)
    return values


def _no_list(row: dict[str, str], column: str) -> ValueError:
    return ValueError(f"{column} is {row[column][:100]!r}")


RELEASES: dict[str, Release] = {
    "mat": Release(
        "    Annotations/Annotations.mat\n    [emotic/]mscoco|framesdb|.../images/*.jpg",
        ("Annotations/Annotations.mat", "Annotations.mat"),
        _read_mat,
    ),
    "csv": Release(
        "    [emotic_pre/]train|val|test.csv\n    [emotic/]mscoco|framesdb|.../images/*.jpg",
        ("emotic_pre/{split}.csv", "{split}.csv"),
        _read_csv,
    ),
}
