"""What the releases of AffectNet have in common: the codes, and how a release is found and read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.data.files import refuse_outside
from cage_lightning.data.readers.single_label import Rows
from cage_lightning.labels import AFFECTNET_8

# Codes of the expressions (Mollahosseini et al. 2017, section 3).
CODES = (*AFFECTNET_8.categories, "None", "Uncertain", "No face")


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


def annotation_suffix(folder: Path) -> str:
    """``.npy`` or ``.json``, whichever the folder holds, or ``""``: two releases share its name."""
    if not folder.is_dir():
        return ""
    with os.scandir(folder) as entries:
        suffixes = (Path(entry.name).suffix for entry in entries)
        return next((suffix for suffix in suffixes if suffix in (".npy", ".json")), "")


def matching(root: Path, folder: Path, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """The names in a folder that match, in no order.

    Raises:
        DataError: One is a link to a file outside `root`.
    """
    matches = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if match := pattern.fullmatch(entry.name):
                matches.append(match)
                if entry.is_symlink():
                    path = Path(entry.path)
                    refuse_outside(root, path.relative_to(root).as_posix(), entry.path)
    return matches


def numbered_pictures(
    root: Path, folder: Path, stems: Sequence[str]
) -> tuple[npt.NDArray[np.str_], list[str]]:
    """Ids and pictures ``{folder}/{stem}.jpg`` of numbers, which may begin with zeros.

    The id is the number without them, so it is the same in every copy of a release.
    """
    prefix = folder.relative_to(root).as_posix()
    ids = [stem.lstrip("0") or "0" for stem in stems]
    return np.array(ids, np.str_), [f"{prefix}/{stem}.jpg" for stem in stems]
