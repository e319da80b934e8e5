"""What the releases of AffectNet have in common: the codes, and what a reader of one hands over."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.labels import AFFECTNET_8

# Codes of the expressions and the mark for "not annotated" (Mollahosseini et al. 2017, section 3).
CODES = (*AFFECTNET_8.categories, "None", "Uncertain", "No face")
NOT_ANNOTATED = -2.0

COLUMNS = ("exp", "val", "aro")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class Rows(NamedTuple):
    """What a release says about one split, as it says it, in the order of the table.

    Attributes:
        id: str ``[N]``.
        picture: N paths relative to the root, with ``/`` between folders.
        label: float64 ``[N, 3]``, the `COLUMNS`; ``[N, 1]`` of a release without valence and
            arousal.
        where: (row, one of the `COLUMNS`) -> the place a person would look at, for messages.
        box: float64 ``[N, 4]``, left, top, right and bottom edge of the face in pixels; None where
            the picture is the face. A row without a sound box has no face.
        extra: Further columns ``[N, ...]`` by name.
        codes: What the codes in `label` stand for: a category, or why a row has none.
        left_out: Reason -> number of samples that are no rows because they have no picture.
    """

    id: npt.NDArray[np.str_]
    picture: list[str]
    label: npt.NDArray[np.float64]
    where: Callable[[int, str], str]
    box: npt.NDArray[np.float64] | None = None
    extra: Mapping[str, npt.NDArray[Any]] = {}
    codes: tuple[str, ...] = CODES
    left_out: Mapping[str, int] = {}


class Release(NamedTuple):
    """A layout on disk.

    Attributes:
        layout: What it looks like, for messages.
        find: (root, ``train`` or ``test``) -> the file or folder with the annotations, None if it
            is not there.
        read: (root, that file or folder) -> its rows.
        splits_share_folders: Whether the pictures of both splits lie in the same folders. If not,
            a picture that no row names lacks a label.
    """

    layout: str
    find: Callable[[Path, str], Path | None]
    read: Callable[[Path, Path], Rows]
    splits_share_folders: bool = False


def first_file(paths: list[Path]) -> Path | None:
    """The first of `paths` that is a file."""
    return next((path for path in paths if path.is_file()), None)


def annotation_suffix(folder: Path) -> str:
    """``.npy`` or ``.json``, whichever the folder holds, or ``""``: two releases share its name."""
    if not folder.is_dir():
        return ""
    with os.scandir(folder) as entries:
        suffixes = (Path(entry.name).suffix for entry in entries)
        return next((suffix for suffix in suffixes if suffix in (".npy", ".json")), "")


def numbered_pictures(
    root: Path, folder: Path, number: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.str_], list[str]]:
    """Ids and pictures ``{folder}/{N}.jpg`` of the numbers ``[N]``."""
    prefix = folder.relative_to(root).as_posix()
    return number.astype(np.str_), [f"{prefix}/{n}.jpg" for n in number.tolist()]
