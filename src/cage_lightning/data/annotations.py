"""The annotation table: what every reader returns and everything after it reads."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.dtypes import StringDType

from cage_lightning.data.files import is_plain
from cage_lightning.data.packed import PackedPictures
from cage_lightning.data.picture_paths import TEXTS, PicturePaths
from cage_lightning.errors import DataError
from cage_lightning.labels import LabelSpace
from cage_lightning.training_statistics import TrainingStatistics


@dataclass(frozen=True, eq=False)
class Annotations:
    """One split of a dataset: a row per sample, checked when it is made.

    Attributes:
        space: What the columns mean.
        root: Folder that `path` is relative to.
        id: str ``[N]``, unique within the split.
        path: str ``[N]``, the picture, relative to `root`, with ``/`` in between, never ``..``;
            kept as `PicturePaths`.
        category: int64 ``[N]`` in 0..K-1, -1 where not annotated, or float32 multi-hot ``[N, K]``
            where ``space.multi_label``.
        affect: float32 ``[N, D]`` in [-1, 1], NaN where not annotated.
        left_out: Reason -> number of samples that the reader left out of the split.
        box: float32 ``[N, 4]``, the part of the picture that shows the sample: left, top, right and
            bottom edge in its stored pixels; None where it is the whole picture.
        extra: Further columns ``[N, ...]`` of the release, by name; carried along. Those of text
            are `groups`, and one called ``soft`` is described there.
        copies: str ``[N]``, the group of pictures that are copies of each other, over all splits;
            empty text where the picture has none. None where nobody has looked for copies, which
            `prepare` does. Not part of `fingerprint`.
        packed: The pictures in a packed store; None where they are the files at `path`.
        origin: The file or folder that the annotations were read from, as seen from the release's
            root; empty where the reader does not tell.

    Raises:
        DataError: A column has the wrong shape or type, a value is out of range, or an id occurs
            twice; the message names the first such row.
    """

    space: LabelSpace
    root: Path
    id: npt.NDArray[np.str_]
    path: npt.NDArray[np.str_] | PicturePaths
    category: npt.NDArray[np.int64] | npt.NDArray[np.float32]
    affect: npt.NDArray[np.float32]
    left_out: Mapping[str, int] = field(default_factory=dict)
    box: npt.NDArray[np.float32] | None = None
    extra: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    copies: npt.NDArray[np.str_] | None = None
    packed: PackedPictures | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        n, k, d = len(self.id), len(self.space.categories), len(self.space.dimensions)
        labels = ("f", 4, (n, k)) if self.space.multi_label else ("i", 8, (n,))
        for name, (kind, size, shape) in {
            "id": ("UT", None, (n,)),
            "path": ("UT", None, (n,)),
            "category": labels,
            "affect": ("f", 4, (n, d)),
            **({} if self.box is None else {"box": ("f", 4, (n, 4))}),
            **({} if self.copies is None else {"copies": ("U", None, (n,))}),
            **({} if self.soft is None else {"soft": ("f", 4, (n, k))}),
        }.items():
            column = getattr(self, name)
            right_type = column.dtype.kind in kind and size in (None, column.dtype.itemsize)
            if column.shape != shape or not right_type:
                raise DataError(
                    f"{self.root}: column {name!r} is {column.dtype} {column.shape}, "
                    f"expected {kind[0]}{size or ''} {shape} for {self.space.name}"
                )

        object.__setattr__(self, "id", _compact(self.id))
        self._refuse_repeated_ids()
        astray = np.fromiter((not is_plain(path) for path in self.path), np.bool_, n)
        self._refuse(astray, "path is not relative to the root with '/' in between")
        object.__setattr__(self, "path", PicturePaths.of(self.path))
        allowed, width = ((0, 1), k) if self.space.multi_label else (range(-1, k), 1)
        outside = ~np.isin(self.category, allowed).reshape(n, width)
        self._refuse(
            outside.any(axis=1), f"category is outside the {k} categories of {self.space.name}"
        )
        far = (np.abs(self.affect) > 1).any(axis=1)
        self._refuse(far, f"{', '.join(self.space.dimensions)} outside [-1, 1]")
        if self.box is not None:
            self._refuse(~has_area(self.box), "the box is empty")
        if self.soft is not None:
            total = self.soft.sum(axis=1)
            shares = (self.soft >= 0).all(axis=1) & (np.isclose(total, 1) | (total == 0))
            self._refuse(~shares, "the shares of the categories do not sum to 1")

    def _refuse_repeated_ids(self) -> None:
        # They take a tenth of the memory of a set of texts. Texts that differ may have the same.
        hashes = np.sort(np.fromiter(map(hash, self.id), np.int64, len(self)))
        if (hashes[1:] == hashes[:-1]).any():
            self._refuse(repeated(self.id), "the id occurs twice")

    def _refuse(self, bad: npt.ArrayLike, problem: str) -> None:
        """Raise for the first row of the mask `bad`."""
        rows = np.flatnonzero(bad)
        if rows.size:
            row = int(rows[0])
            raise DataError(
                f"{self.root}: row {row} (id {str(self.id[row])!r}, path {str(self.path[row])!r}, "
                f"category {self.category[row].tolist()}, affect {self.affect[row].tolist()}): "
                f"{problem} ({rows.size} such rows of {len(self)})"
            )

    def __len__(self) -> int:
        return len(self.id)

    @property
    def soft(self) -> npt.NDArray[np.float32] | None:
        """The shares of the categories, as of votes: ``[N, K]``, rows of 0 where not annotated.

        None where the data set has none.
        """
        return self.extra.get("soft")

    @property
    def groups(self) -> Mapping[str, npt.NDArray[np.str_]]:
        """What describes the samples besides their labels: age, person, video, ...

        By name, str ``[N]``; empty text where it is not known.
        """
        return {name: column for name, column in self.extra.items() if column.dtype.kind == "U"}

    def select(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Annotations:
        """The given rows in the given order, as a table of their own.

        Args:
            rows: Row numbers ``[M]`` without repeats, or a mask ``[N]``.

        Returns:
            A table with M rows; `left_out` is still what the reader left out of the whole split.
        """
        # All else has been checked, and holds for some of the rows as well.
        part = copy(self)
        vars(part).pop("_fingerprint", None)
        vars(part).update(
            id=self.id[rows],
            path=self.path[rows],
            category=self.category[rows],
            affect=self.affect[rows],
            box=None if self.box is None else self.box[rows],
            extra={name: column[rows] for name, column in self.extra.items()},
            copies=None if self.copies is None else self.copies[rows],
            packed=None if self.packed is None else self.packed.select(rows),
        )
        part._refuse_repeated_ids()
        return part

    def picture(self, row: int) -> Path | bytes:
        """The encoded picture of a row: its file, or what was in the file."""
        return self.root / self.path[row] if self.packed is None else self.packed[row]

    def class_counts(self) -> npt.NDArray[np.int64]:
        """Number of samples of each category, int64 ``[K]``, zeros included."""
        if self.space.multi_label:
            return np.asarray(self.category.sum(axis=0), dtype=np.int64)
        known = self.category[self.category >= 0].astype(np.int64)
        return np.bincount(known, minlength=len(self.space.categories)).astype(np.int64)

    def statistics(self) -> TrainingStatistics:
        """What predictors that never look at a picture need to know of a training split."""
        k = len(self.space.categories)
        member = self.category.astype(bool)
        if not self.space.multi_label:
            member = self.category[:, None] == np.arange(k)
        return TrainingStatistics(
            source="the model's training split",
            n=len(self),
            counts=self.class_counts().tolist(),
            affect=_means(self.affect),
            affect_by_category=[_means(self.affect[column]) for column in member.T],
        )

    def fingerprint(self) -> str:
        """SHA-256 (hex) over label space, ids, paths, labels and boxes, in row order.

        It does not depend on where the root lies, nor on which release of a dataset the same
        table was read from.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps([self.space.to_dict()]).removesuffix("]").encode())
        for column in (self.id, self.path):
            for part in _as_json(column):
                digest.update(part.encode())
        category = self.category.astype("<f4" if self.space.multi_label else "<i8")
        # One bit pattern for every NaN, and one for 0.0 and -0.0.
        affect = np.where(np.isnan(self.affect), np.float32(np.nan), self.affect + 0).astype("<f4")
        box = b"" if self.box is None else self.box.astype("<f4").tobytes()
        digest.update(b"]" + category.tobytes() + affect.tobytes() + box)
        return digest.hexdigest()


def _means(affect: npt.NDArray[np.float32]) -> list[float | None]:
    """Mean of each column, over what is annotated; None where nothing is."""
    columns = ([x for x in column.tolist() if x == x] for column in affect.T)
    return [math.fsum(column) / len(column) if column else None for column in columns]


def _as_json(text: npt.NDArray[np.str_] | PicturePaths) -> Iterator[str]:
    """A list of texts that follows something in a list, in JSON, some thousands at a time."""
    yield ", ["
    for start in range(0, len(text), TEXTS):
        yield ", " * (start > 0) + json.dumps(text[start : start + TEXTS].tolist())[1:-1]
    yield "]"


def _compact(text: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """Text as UTF-8: an array of fixed length takes four bytes for each character of the longest.

    Surrogates, which stand for bytes that are no text, remain as they are.
    """
    try:
        return text.astype(StringDType(), copy=False)
    except (UnicodeEncodeError, TypeError):
        return text


def repeated(id_: npt.NDArray[np.str_]) -> npt.NDArray[np.bool_]:
    """Which ids, of ``[N]``, occurred before."""
    again = np.ones(len(id_), dtype=bool)
    again[np.unique(id_, return_index=True)[1]] = False
    return again


def has_area(box: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether each box ``[N, 4]`` (left, top, right, bottom) is finite and its edges in order."""
    left, top, right, bottom = box.T
    sound: npt.NDArray[np.bool_] = np.isfinite(box).all(axis=1) & (left < right) & (top < bottom)
    return sound
