"""Which of the pictures that the rows name are there, and whether they lie where they should."""

from __future__ import annotations

import os
from pathlib import Path

from cage_lightning.data.affectnet.release import COLUMNS, Rows
from cage_lightning.data.files import stays_inside
from cage_lightning.errors import DataError


def list_files(root: Path, rows: Rows, refuse: bool = True) -> set[str]:
    """Visible files in the folders of the pictures: one scan per folder, not per picture.

    Args:
        root: Folder that holds the release.
        rows: What it says about one split.
        refuse: Raise for a picture outside.

    Returns:
        Paths relative to `root`.

    Raises:
        DataError: A picture's path leads out of `root`: it is absolute or contains ``..``; or the
            picture is a link to a file outside. Folders may be links.
    """
    for row, picture in enumerate(rows.picture if refuse else ()):
        if not _is_plain(picture):
            raise DataError(
                f"{rows.where(row, COLUMNS[0])}: the picture {picture!r} is not a path below "
                f"{root} with '/' in between"
            )
    files: set[str] = set()
    links: set[str] = set()
    for folder in {p.rpartition("/")[0] for p in rows.picture if _is_plain(p)}:
        if (root / folder).is_dir():
            for entry in os.scandir(root / folder):
                if not entry.name.startswith("."):
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    (links if entry.is_symlink() else files).add(path)
    for row, picture in enumerate(rows.picture if links and refuse else ()):
        if picture in links and not stays_inside(root, picture):
            raise DataError(
                f"{rows.where(row, COLUMNS[0])}: the picture {picture!r} is a link to "
                f"{os.path.realpath(root / picture)}, outside {root}. Copy it, or link its folder."
            )
    return files | links


def _is_plain(picture: str) -> bool:
    """Whether a path is relative, with ``/`` in between, and never goes up."""
    # An absolute path begins with an empty part, also behind the folder of the pictures.
    return "\\" not in picture and not {"", ".."} & set(picture.split("/"))
