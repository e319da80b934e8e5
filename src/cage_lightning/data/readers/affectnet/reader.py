"""From whichever release lies on disk to the annotation table."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import list_files, no_release
from cage_lightning.data.readers.affectnet.affectnet2017 import AFFECTNET_2017
from cage_lightning.data.readers.affectnet.affectnet2021 import AFFECTNET_2021
from cage_lightning.data.readers.affectnet.affectnet_plus import AFFECTNET_PLUS
from cage_lightning.data.readers.affectnet.annotation_csv import ANNOTATION_CSV
from cage_lightning.data.readers.affectnet.class_folders import CLASS_FOLDERS
from cage_lightning.data.readers.affectnet.release import (
    CODES,
    COLUMNS,
    NOT_ANNOTATED,
    PICTURE_SUFFIXES,
    Release,
    Rows,
)
from cage_lightning.errors import ConfigError, DataError, check_choice
from cage_lightning.labels import AFFECTNET_8, LabelSpace

# In this order, so that a release itself comes before what was derived from it.
RELEASES = {
    "affectnet2021": AFFECTNET_2021,
    "csv": ANNOTATION_CSV,
    "affectnet2017": AFFECTNET_2017,
    "affectnet_plus": AFFECTNET_PLUS,
    "folders": CLASS_FOLDERS,
}
SPLITS = ("train", "test")

logger = logging.getLogger(__name__)


def read_affectnet(
    root: Path,
    split: str,
    space: LabelSpace,
    release: str = "auto",
    on_error: str = "raise",
) -> Annotations:
    """Read one split of AffectNet.

    Rows that `space` does not cover (Contempt for `AFFECTNET_7`, the codes 8-10), that have no
    valence or arousal (-2), or whose face box is empty (2017: a negative width) are left out and
    counted in ``left_out``, as are pictures nobody labelled. Affect is NaN throughout in image
    folders, which say nothing about it.

    Ids are the numbers of the pictures, which are the row numbers, from 0, of the lists of 2017:
    the same sample has the same id in every release but image folders, where it is the path
    without its suffix.

    Nothing may lead out of `root`: an absolute path, ``..``, and a picture or a file of annotations
    that is a link to a file outside are refused. The root and the folders in it may be links, for
    pictures on another disk.

    Args:
        root: Folder that holds the release.
        split: ``train``, or ``test``: the official validation split. Of image folders, ``test`` is
            the folder of that name, or the validation folder if there is none.
        space: `AFFECTNET_8` or `AFFECTNET_7`.
        release: A name in `RELEASES`; ``auto`` takes the first one found, of which both splits are
            there if there is such a one.
        on_error: ``raise``; ``skip`` to leave out rows without a picture and count them; or
            ``keep`` to return the rows as they are, for who looks at the pictures anyway.

    Returns:
        The table, in the order of the picture numbers (of the paths in image folders). From the
        release of 2017 with ``box``; from AffectNet+ with the ``extra`` columns ``soft_label``
        (float32 ``[N, 8]``) and ``subset`` (int64: 0 easy, 1 challenging, 2 difficult).

    Raises:
        ConfigError: `split`, `space`, `release` or `on_error` is not one of the above.
        DataError: No release is there; an annotation is no number, incomplete or out of range; a
            picture is missing or outside `root`; the category of an image folder is unknown; no
            row is left.
    """
    check_choice("split", split, SPLITS)
    check_choice("release", release, ("auto", *RELEASES))
    check_choice("on_error", on_error, ("raise", "skip", "keep"))
    if space.dimensions != AFFECTNET_8.dimensions or not set(space.categories) <= set(CODES):
        raise ConfigError(f"AffectNet is not labelled for {space.name!r}: use affectnet8 or 7.")

    source, found = _find(root, split, release)
    rows = found.read(root, source)
    return to_table(rows, root, source, space, on_error, found.splits_share_folders)


def to_table(
    rows: Rows,
    root: Path,
    source: Path,
    space: LabelSpace,
    on_error: str,
    splits_share_folders: bool,
) -> Annotations:
    """What a release says about one split, checked, as a table; also of RAF-DB and FER+.

    Args:
        rows: What it says.
        root: Folder that holds the release.
        source: The annotations, for messages.
        space: The categories that are kept. The codes are converted by the names in ``rows.codes``.
        on_error: As in `read_affectnet`.
        splits_share_folders: As in `Release`.

    Raises:
        DataError: As in `read_affectnet`; or an id occurs twice.
    """
    code, affect = _checked_labels(rows)
    repeated = np.ones(len(rows.id), dtype=bool)
    repeated[np.unique(rows.id, return_index=True)[1]] = False
    if repeated.any():
        raise DataError(f"{rows.where(int(repeated.argmax()), COLUMNS[0])}: the id occurs twice")
    present = list_files(
        root, rows.picture, lambda row: rows.where(row, COLUMNS[0]), links=on_error == "keep"
    )

    names = space.categories
    category = np.array([names.index(c) if c in names else -1 for c in rows.codes])[code]
    reason = np.array([c.lower() for c in rows.codes], dtype=object)[code]
    reason[category >= 0] = ""
    reason[(reason == "") & (affect == NOT_ANNOTATED).any(axis=1)] = "no valence or arousal"
    box = None
    if rows.box is not None:
        with np.errstate(over="ignore"):  # to infinity, which is no box either
            box = rows.box.astype(np.float32)
        reason[(reason == "") & ~_has_area(box)] = "no face box"
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
        left_out["picture without label"] = sum(
            path.lower().endswith(PICTURE_SUFFIXES) for path in unnamed
        )

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
    )


def _find(root: Path, split: str, release: str) -> tuple[Path, Release]:
    """Where the annotations are, and in which release."""
    tried = RELEASES if release == "auto" else {release: RELEASES[release]}
    found = {name: path for name, r in tried.items() if (path := r.find(root, split))}
    if not found:
        raise no_release("AffectNet", split, root, {n: r.layout for n, r in tried.items()})
    # A release with both splits first: training and test should come from the same one.
    name, *others = sorted(found, key=lambda n: not all(tried[n].find(root, s) for s in SPLITS))
    hint = f" (release={others[0]} is there too)" if others else ""
    logger.info("AffectNet %s: reading release %s at %s%s", split, name, found[name], hint)
    return found[name], tried[name]


def _checked_labels(rows: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Codes ``[N]`` and affect ``[N, 2]``, or an error that names the first bad value."""
    code, affect = rows.label[:, 0], rows.label[:, 1:]
    good_affect = (np.abs(affect) <= 1) | (affect == NOT_ANNOTATED)
    bad = ~np.column_stack([np.isin(code, range(len(rows.codes))), good_affect])
    if bad.any():
        row, column = np.argwhere(bad)[0].tolist()
        name = COLUMNS[column]
        codes = f"a code from 0 to {len(rows.codes) - 1}"
        raise DataError(
            f"{rows.where(row, name)}: {name} is {rows.label[row, column]}, "
            f"expected {codes if name == 'exp' else 'a value in [-1, 1], or -2'} "
            f"({int(bad.any(axis=1).sum())} such rows of {len(bad)})"
        )
    if not affect.shape[1]:
        affect = np.full((len(code), 2), np.nan)
    return code.astype(np.int64), affect


def _has_area(box: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether each box ``[N, 4]`` is finite and its edges are in order."""
    left, top, right, bottom = box.T
    sound: npt.NDArray[np.bool_] = np.isfinite(box).all(axis=1) & (left < right) & (top < bottom)
    return sound
