"""What the readers of data sets with one category for each sample have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.data.annotations import Annotations, has_area, repeated
from cage_lightning.data.files import OnError, list_files
from cage_lightning.data.formats import is_picture, other_files
from cage_lightning.errors import DataError
from cage_lightning.labels import LabelSpace

COLUMNS = ("exp", "val", "aro")
NOT_ANNOTATED = -2.0
"""The mark of AffectNet for a valence or arousal that nobody gave."""


class Rows(NamedTuple):
    """The annotations of one split as the release writes them, in the order of the table.

    Attributes:
        id: str ``[N]``.
        picture: N paths relative to the root, with ``/`` between folders.
        label: float64 ``[N, 3]``, the `COLUMNS`; ``[N, 1]`` of a release without valence and
            arousal.
        where: (row, one of the `COLUMNS`) -> the place a person would look at, for messages.
        box: float64 ``[N, 4]``, left, top, right and bottom edge of the face in pixels; None where
            the picture is the face. A row without a sound box has no face.
        extra: Further columns ``[N, ...]`` by name.
        left_out: Reason -> number of samples that are no rows because they have no picture.
    """

    id: npt.NDArray[np.str_]
    picture: list[str]
    label: npt.NDArray[np.float64]
    where: Callable[[int, str], str]
    box: npt.NDArray[np.float64] | None = None
    extra: Mapping[str, npt.NDArray[Any]] = {}
    left_out: Mapping[str, int] = {}


def to_table(
    rows: Rows,
    root: Path,
    source: Path,
    space: LabelSpace,
    codes: Sequence[str],
    on_error: OnError,
    splits_share_folders: bool = False,
) -> Annotations:
    """Check the annotations of one split, and make a table of them.

    Rows are left out and counted whose code stands for no category of `space` (under the name of
    the code), that have no valence or arousal, whose box is empty, or, with ``skip``, whose picture
    is missing.

    Args:
        rows: The annotations.
        root: Folder that holds the release.
        source: The annotations, for messages.
        space: The categories that are kept.
        codes: What the codes 0, 1, ... in the labels stand for: the name of a category, or why a
            row has none. The table has the order of `space`, which may be another one.
        on_error: ``raise``; ``skip`` to leave out rows without a picture; or ``keep`` to return
            them as they are.
        splits_share_folders: Whether the pictures of several splits lie in the same folders. If
            not, a picture that no row names is counted as one without label, and any other file
            beside them as no picture.

    Raises:
        DataError: A label is out of range; an id occurs twice; a picture is missing or outside
            `root`; no row is left.
    """
    code, affect = _checked_labels(rows, len(codes))
    if not affect.shape[1]:
        affect = np.full((len(code), len(space.dimensions)), np.nan)
    if (again := repeated(rows.id)).any():
        raise DataError(f"{rows.where(int(again.argmax()), COLUMNS[0])}: the id occurs twice")
    present = list_files(
        root, rows.picture, lambda row: rows.where(row, COLUMNS[0]), links=on_error == "keep"
    )

    names = space.categories
    category = np.array([names.index(c) if c in names else -1 for c in codes])[code]
    reason = np.array([c.lower() for c in codes], dtype=object)[code]
    reason[category >= 0] = ""
    reason[(reason == "") & (affect == NOT_ANNOTATED).any(axis=1)] = "no valence or arousal"
    box = None
    if rows.box is not None:
        with np.errstate(over="ignore"):  # to infinity, which is no box either
            box = rows.box.astype(np.float32)
        reason[(reason == "") & ~has_area(box)] = "no face box"
    absent = np.array([picture not in present for picture in rows.picture], dtype=bool)
    absent &= reason == ""
    if absent.any() and on_error == "raise":
        missing = np.flatnonzero(absent).tolist()
        first = ", ".join(rows.picture[i] for i in missing[:3])
        raise DataError(
            f"{rows.where(missing[0], COLUMNS[0])}: {len(missing)} of {len(absent)} pictures are "
            f"missing under {root}, first {first}. Restore them, or leave them out with "
            "data.on_error=skip."
        )
    if on_error == "skip":
        reason[absent] = "missing picture"
    left_out = Counter(reason[reason != ""].tolist()) + Counter(rows.left_out)
    if not splits_share_folders:
        unnamed = present.difference(rows.picture)
        left_out["picture without label"] += sum(map(is_picture, unnamed))
        others = (path for path in unnamed if not is_picture(path) and root / path != source)
        left_out += other_files(others)

    take = np.flatnonzero(reason == "")
    if not take.size:
        raise DataError(f"{source}: no row is left for {space.name}; left out: {dict(left_out)}")
    return Annotations(
        space=space,
        root=root,
        id=rows.id[take],
        path=np.array(rows.picture, np.str_)[take],
        category=category[take].astype(np.int64),
        affect=affect[take].astype(np.float32),
        left_out={reason: n for reason, n in sorted(left_out.items()) if n},
        box=None if box is None else box[take],
        extra={name: column[take] for name, column in rows.extra.items()},
        origin=source.relative_to(root).as_posix(),
    )


def shares(
    votes: npt.NDArray[Any], codes: Sequence[str], space: LabelSpace
) -> npt.NDArray[np.float32]:
    """The shares of the categories in votes or soft labels: the column ``soft`` of a table.

    Args:
        votes: ``[N, C]``; what is negative or NaN counts for nothing.
        codes: What the columns stand for, C or more; those of no category of `space` do not count.
        space: The categories, each among `codes`.

    Returns:
        float32 ``[N, K]``: rows sum to 1, or are 0 without a vote for any of the categories.
    """
    columns = votes[:, [codes.index(category) for category in space.categories]]
    counted = np.nan_to_num(np.maximum(columns, 0).astype(np.float64))
    total = counted.sum(axis=1, keepdims=True)
    return np.asarray(counted / np.where(total > 0, total, 1), np.float32)


def _checked_labels(rows: Rows, k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Codes ``[N]``, below `k`, and affect ``[N, 2 or 0]``; an error names the first bad one."""
    code, affect = rows.label[:, 0], rows.label[:, 1:]
    good_affect = (np.abs(affect) <= 1) | (affect == NOT_ANNOTATED)
    bad = ~np.column_stack([np.isin(code, range(k)), good_affect])
    if bad.any():
        row, column = np.argwhere(bad)[0].tolist()
        name = COLUMNS[column]
        codes = f"a code from 0 to {k - 1}"
        raise DataError(
            f"{rows.where(row, name)}: {name} is {rows.label[row, column]}, "
            f"expected {codes if name == 'exp' else 'a value in [-1, 1], or -2'} "
            f"({int(bad.any(axis=1).sum())} such rows of {len(bad)})"
        )
    return code.astype(np.int64), affect
