"""Paths as other machines write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cage_lightning.data.files import is_plain

_DRIVE = re.compile(r"[A-Za-z]:/")


def slashes(path: str) -> str:
    """A path with ``/`` between folders, and without ``./`` before it."""
    path = re.sub(r"(?<!^)(?<!:)/+", "/", path.replace("\\", "/"))
    return re.sub(r"^(\./)+", "", path)


def below(root: Path, path: str, strip: str | None) -> str:
    """A path relative to the root, if it lies below it or below the folder to take away."""
    folders = [str(root), os.path.realpath(root)]
    if strip:
        folders.insert(0, strip)
    for folder in (slashes(one) for one in folders):
        start = path[: len(folder) + 1]
        same = start.casefold() == f"{folder}/".casefold() if _DRIVE.match(path) else None
        if same or start == f"{folder}/":
            return path[len(folder) + 1 :].lstrip("/")
    return path


def problem_of(root: Path, path: str) -> str | None:
    """Why a path is refused; None if it is not."""
    if path.startswith("/") or _DRIVE.match(path):
        return (
            f"is an absolute path outside {root}: name the folder to take away, with / between "
            "folders, as data.strip=FOLDER, or set data.root"
        )
    if re.match(r"[A-Za-z][\w+.-]*://", path):
        return "is an address: load the pictures down, and name their files"
    if not is_plain(path):
        return f"is not a path below {root}"
    return None
