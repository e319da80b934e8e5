"""Checks of paths: those that settings name, and those inside folders that a stranger has made.

A run folder may come from anyone. The folder itself may be a symbolic link, for example to a
scratch disk. Links inside it that lead out of it are neither read nor written through.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath
from typing import Any

from cage_lightning.errors import ConfigError, DataError


def local_path(key: str, value: str) -> Path:
    """Return the path that a setting names, in the file system of this machine.

    Args:
        key: The setting, for the message.
        value: Its value.

    Raises:
        ConfigError: The value is an address such as ``s3://...``, of which `Path` would make a
            local folder.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value):
        raise ConfigError(
            f"{key}={value}: only folders and files of this machine can be read and written; "
            "mount it here, or copy it to this machine"
        )
    return Path(value)


def leads_out(folder: Path, path: Path) -> bool:
    """Whether symbolic links lead a path below `folder` out of it; the path need not exist."""
    return not _is_below(os.path.realpath(folder), path)


def is_inside(folder: Path, file: Path) -> bool:
    """Whether `file` is a regular file inside `folder`, once all symbolic links are resolved."""
    return file.is_file() and not leads_out(folder, file)


def refuse_outside(folder: Path, path: Path) -> None:
    """Refuse a path that symbolic links lead out of `folder`.

    Raises:
        DataError: Names the path and where it leads.
    """
    if leads_out(folder, path):
        raise _refused(folder, path)


def leading_out(folder: Path, without: Collection[str] = ()) -> Iterator[Path]:
    """Yield what in a folder is a link out of it, or neither a file, a folder nor a link.

    Args:
        folder: The folder, which is searched at every depth in the order of the names. Links are
            not followed.
        without: Names of folders directly in it that are not searched. If one of them is itself a
            link out of the folder, it is yielded.
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
                if not _is_below(root, Path(entry.path)):
                    yield folder / os.path.relpath(entry.path, root)
            elif not entry.is_file(follow_symlinks=False):
                yield folder / os.path.relpath(entry.path, root)

    yield from visit(root)


def refuse_leading_out(folder: Path, without: Collection[str] = ()) -> None:
    """Refuse a folder in which `leading_out` finds something.

    Args:
        folder: As in `leading_out`.
        without: As in `leading_out`.

    Raises:
        DataError: Names the first path that it finds.
    """
    for path in leading_out(folder, without):
        raise _refused(folder, path)


def open_regular(path: Path, flags: int) -> int:
    """Open a regular file without following a symbolic link.

    Args:
        path: The file; `flags` decide whether it is created.
        flags: Those of `os.open`.

    Returns:
        The file descriptor.

    Raises:
        DataError: The path is a symbolic link, or something else than a regular file.
        OSError: The file cannot be opened.
    """
    if path.is_symlink():
        raise DataError(f"{path} is a link to {os.path.realpath(path)}: delete it")
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is not a regular file: delete it")
    # The flags refuse a link, and do not block on a pipe, that takes the file's place meanwhile.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode=0o666)


def sha256_of(path: Path) -> str:
    """The SHA-256 of the content of a file, in hexadecimal."""
    with path.open("rb") as file:  # it may be larger than the memory
        return hashlib.file_digest(file, "sha256").hexdigest()


def without_places(config: Any) -> Any:
    """A config whose absolute paths, which mean nothing on another machine, are names."""
    if isinstance(config, dict):
        return {key: without_places(value) for key, value in config.items()}
    if isinstance(config, list):
        return [without_places(value) for value in config]
    absolute = isinstance(config, str) and config.startswith(("/", "~", "file:/"))
    return PurePath(config).name if absolute else config


def _is_below(root: str, path: Path) -> bool:
    # os.path.realpath is used because Path.resolve fails on a link to itself.
    return Path(os.path.realpath(path)).is_relative_to(root)


def _refused(folder: Path, path: Path) -> DataError:
    if not leads_out(folder, path):
        return DataError(f"{path} is neither a file nor a folder: delete it")
    target = os.path.realpath(path)
    return DataError(
        f"{path} leads to {target}, outside {folder}: delete the link, or put a copy in its place"
    )
