"""Folders that hold the pictures of one category each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from cage_lightning.data.formats import is_passed_over, is_picture
from cage_lightning.errors import DataError
from cage_lightning.system.paths import leads_out


def visible_folders(parent: Path) -> list[Path]:
    """The folders in a folder, by name; none where it is not there."""
    if not parent.is_dir():
        return []
    visible = (path for path in parent.iterdir() if not path.name.startswith("."))
    return sorted(path for path in visible if path.is_dir())


def pictures_in(folder: Path) -> list[Path]:
    """The visible pictures of one category.

    Raises:
        DataError: The folder holds folders.
    """
    if inner := visible_folders(folder):
        raise DataError(f"{inner[0]}: a folder of pictures holds no folders. Move its pictures up.")
    return visible_pictures(folder)


def refuse_outside(root: Path, folders: Iterable[Path]) -> None:
    """Refuse folders of pictures that links lead out of `root`.

    Nothing but the folder names the pictures in it: with such a link in a release, whatever lies
    behind it would be taken for pictures of the release.

    Raises:
        DataError: Names the first one, and where it leads.
    """
    for folder in folders:
        if leads_out(root, folder):
            raise DataError(
                f"{folder} is a link to {os.path.realpath(folder)}, outside {root}: put the folder "
                "itself there, or link the whole root"
            )


def visible_pictures(folder: Path) -> list[Path]:
    """The pictures that lie in a folder itself, in no order."""
    return [p for p in folder.iterdir() if is_picture(p.name) and not is_passed_over(p.name)]
