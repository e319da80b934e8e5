"""The files of a release, and the fingerprint by which a change of them is noticed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path


def release_files(root: Path, without: Path) -> dict[str, str]:
    """The visible files below a folder: path -> size and time of change.

    Links to folders are followed, each folder is visited once.

    Args:
        root: The folder.
        without: A folder that is passed over, the store itself.
    """
    files: dict[str, str] = {}
    seen: set[tuple[int, int]] = set()
    if without.is_dir():
        seen.add(_identity(without))

    def visit(folder: str, prefix: str) -> None:
        if _identity(folder) in seen:
            return
        seen.add(_identity(folder))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[0] == ".":
                    continue
                try:
                    is_folder, state = entry.is_dir(), entry.stat()
                except OSError:  # a link that leads nowhere, or to itself
                    files[prefix + entry.name] = ""
                    continue
                if is_folder:
                    visit(entry.path, f"{prefix}{entry.name}/")
                else:
                    files[prefix + entry.name] = f"{state.st_size} {state.st_mtime_ns}"

    visit(str(root), "")
    return files


def fingerprint_of(files: Mapping[str, str]) -> str:
    """SHA-256 (hex) over names, sizes and times of change of the files of a release."""
    return hashlib.sha256(os.fsencode("\n".join(sorted(map("\0".join, files.items()))))).hexdigest()


def _identity(folder: str | Path) -> tuple[int, int]:
    state = Path(folder).stat()
    return state.st_dev, state.st_ino
