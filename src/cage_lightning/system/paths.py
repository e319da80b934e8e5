"""Paths that settings name, and folders that somebody else has made: nothing in them leads out.

A run folder may come from anybody. The folder itself may be a link, as on a disk for scratch files;
a link in it that leads out of it is neither read nor written through.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from cage_lightning.errors import ConfigError, DataError


def local_path(key: str, value: str) -> Path:
    """The path that a setting names, of this machine's file system.

    Raises:
        ConfigError: It is an address, which would become a folder of that name.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value):
        raise ConfigError(
            f"{key}={value}: only folders and files of this machine can be read and written; "
            "mount it, or copy it"
        )
    return Path(value)


def leads_out(folder: Path, path: Path) -> bool:
    """Whether links on the way lead a path below `folder` out of it; it need not be there."""
    return not _lies_in(os.path.realpath(folder), path)


def is_inside(folder: Path, file: Path) -> bool:
    """Whether `file` is a regular file, and lies in `folder` wherever links on the way lead."""
    return file.is_file() and not leads_out(folder, file)


def refuse_outside(folder: Path, path: Path) -> None:
    """Refuse a path that `leads_out` of `folder`.

    Raises:
        DataError: It does.
    """
    if leads_out(folder, path):
        raise _refused(folder, path)


def leading_out(folder: Path, without: Collection[str] = ()) -> Iterator[Path]:
    """What in a folder is a link that leads out of it, or neither a file, a folder nor a link.

    Args:
        folder: Looked at as a whole, in the order of the names; links are not followed.
        without: Folders directly in it that are not looked into, though they may be no such links.
    """
    root = os.path.realpath(folder)

    def visit(place: str) -> Iterator[Path]:
        with os.scandir(place) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                if place != root or entry.name not in without:
                    yield from visit(entry.path)
            elif entry.is_symlink():
                if not _lies_in(root, Path(entry.path)):
                    yield folder / os.path.relpath(entry.path, root)
            elif not entry.is_file(follow_symlinks=False):
                yield folder / os.path.relpath(entry.path, root)

    yield from visit(root)


def refuse_leading_out(folder: Path, without: Collection[str] = ()) -> None:
    """Refuse a folder with something in it that `leading_out` finds.

    Raises:
        DataError: Names the first.
    """
    for path in leading_out(folder, without):
        raise _refused(folder, path)


def open_regular(path: Path, flags: int) -> int:
    """Open a regular file under its own name, made if `flags` say so.

    Args:
        path: The file.
        flags: As `os.open` takes them.

    Returns:
        Its descriptor.

    Raises:
        DataError: It is a link, or no file.
        OSError: It cannot be opened.
    """
    if path.is_symlink():
        raise DataError(f"{path} is a link to {os.path.realpath(path)}: delete it")
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is no file: delete it")
    # Nor what takes its place meanwhile; a pipe would wait for its other end.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode=0o666)


def _lies_in(root: str, path: Path) -> bool:
    # realpath, because Path.resolve fails on a link to itself.
    return Path(os.path.realpath(path)).is_relative_to(root)


def _refused(folder: Path, path: Path) -> DataError:
    if not leads_out(folder, path):
        return DataError(f"{path} is neither a file nor a folder: delete it")
    target = os.path.realpath(path)
    return DataError(
        f"{path} leads to {target}, outside {folder}: delete the link, or put a copy in its place"
    )
