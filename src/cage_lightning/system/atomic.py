"""Atomic writing of files, and locks between processes."""

from __future__ import annotations

import csv
import errno
import fcntl
import functools
import glob
import io
import os
import platform
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from cage_lightning.errors import CageError, ConfigError
from cage_lightning.system.escaping import for_spreadsheet
from cage_lightning.system.paths import open_regular
from cage_lightning.system.storage import room_for

_LOCK = ".lock"  # in a folder that is being made
# How the name of a file that is being written begins: what it is, and on which machine.
_PART = f".part-{zlib.crc32(platform.node().encode()):08x}-"


class Held(BlockingIOError):
    """Another process holds a lock."""


class NoLocks(OSError):
    """The file system does not support locks."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file atomically: a kill at any moment leaves the old file or the new one, whole.

    Yields:
        A new file in the same folder to write to. It is flushed to disk and takes the place of
        `path` when the block ends without an error; otherwise it is deleted.

    Raises:
        OutputError: The disk is full, or the file may not be written.
    """
    with room_for(path), _replacing(path) as part:
        yield part


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_parts(path.parent.absolute())
    with _new_part(path.parent) as part:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)


@contextmanager
def _new_part(folder: Path) -> Iterator[Path]:
    """A new file in a folder, deleted at the end of the block if it is still there."""
    part, descriptor = _open_part(folder)
    try:
        yield part
    finally:
        os.close(descriptor)
        with suppress(OSError):  # it would hide the error that ended the block
            part.unlink()


def _open_part(folder: Path) -> tuple[Path, int]:
    """A new file and its descriptor, whose lock tells that a process is writing it."""
    # The name does not contain that of the target: to Lightning every file with "hpc_ckpt_" in its
    # name is a checkpoint. It cannot be guessed, and the file must be new: nothing is written
    # through a symbolic link that somebody has put there beforehand.
    part = folder / f"{_PART}{secrets.token_hex(16)}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode=0o666)
    with suppress(OSError):  # a file system without locks: there nobody removes it either
        # A lock of lockf would go as soon as the process closes the file after writing.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if os.fstat(descriptor).st_nlink:
        return part, descriptor
    os.close(descriptor)  # it was removed before it was locked
    return _open_part(folder)


@functools.lru_cache
def _remove_parts(folder: Path) -> None:
    """Remove what killed processes of this machine left in a folder; once in a process is enough.

    Locks of another machine may not be seen here, so its parts stay.
    """
    for part in folder.glob(f"{_PART}*"):
        with suppress(OSError, CageError):
            descriptor = open_regular(part, os.O_WRONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
            finally:
                os.close(descriptor)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Make a folder that is there as a whole or not at all.

    Yields:
        An empty folder beside it, to be filled. It becomes `folder` when the block ends without an
        error; otherwise it is deleted with all that it holds.

    Raises:
        ConfigError: `folder` exists already and is not empty.
        OutputError: The disk is full, or the folder may not be made.
    """
    with room_for(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".part-{glob.escape(folder.name)}-*"):
            _remove_unless_held(left)
        part = folder.with_name(f".part-{folder.name}-{secrets.token_hex(16)}")
        part.mkdir()
        try:
            with ExitStack() as held:
                with suppress(NoLocks):
                    held.enter_context(locked(part / _LOCK))
                yield part
            (part / _LOCK).unlink()
            _move(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _remove_unless_held(part: Path) -> None:
    """Remove what a process that was killed has left of a folder."""
    with suppress(OSError, CageError):
        if part.is_dir() and not part.is_symlink() and not is_held(part / _LOCK):
            shutil.rmtree(part, ignore_errors=True)


def _move(part: Path, folder: Path) -> None:
    for file in part.rglob("*"):
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    try:
        part.rename(folder)  # fails where something is in it
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise ConfigError(f"{folder} exists already: choose another one, or delete it") from error


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file as `replacing` does: a text in UTF-8, or bytes.

    Raises:
        OutputError: The disk is full, or the file may not be written.
    """
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV table with a header as `write_atomic` does; None becomes an empty field.

    No text in it is a formula to a spreadsheet (`escaping.for_spreadsheet`).

    Args:
        path: The file.
        columns: The header.
        rows: For each row, the values by column; a missing column becomes an empty field.

    Raises:
        ValueError: A row has a column that is not in the header.
        OutputError: As in `write_atomic`.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    header = dict(zip(columns, columns, strict=True))
    for row in (header, *rows):
        writer.writerow({column: for_spreadsheet(cell) for column, cell in row.items()})
    write_atomic(path, buffer.getvalue())


def open_log(path: Path) -> io.TextIOWrapper:
    """Open a text file in UTF-8 to append lines to it; it is created if it does not exist.

    If the file has other names (hard links, as in a backup), those keep the old content.

    Raises:
        DataError: The path is a symbolic link, or something else than a regular file.
        OSError: The file cannot be written.
    """
    append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    descriptor = open_regular(path, append)
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        write_atomic(path, path.read_bytes())
        descriptor = open_regular(path, append)
    return os.fdopen(descriptor, "a", encoding="utf-8")


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock, which the system releases even if this process is killed.

    Args:
        path: The lock file; it is created if it does not exist, and its content does not change.
        wait: Whether to wait for another process that holds the lock.

    Raises:
        Held: Another process holds the lock, and `wait` is false.
        NoLocks: The file system does not support locks.
        DataError: The path is a symbolic link, or something else than a regular file.
        OSError: The file cannot be opened for writing.
    """
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
    try:
        _lock(path, descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether another process holds the lock; the lock file need not be writable.

    Raises:
        NoLocks: The file system does not support locks.
        DataError: The path is a symbolic link, or something else than a regular file.
        OSError: The file cannot be opened for reading.
    """
    try:
        descriptor = open_regular(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        _lock(path, descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except Held:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(path: Path, descriptor: int, kind: int) -> None:
    try:
        # lockf is used because the children of a killed process, which live on for some seconds,
        # would go on holding a lock of flock that they inherited.
        fcntl.lockf(descriptor, kind)
    except OSError as error:
        held = error.errno in (errno.EAGAIN, errno.EACCES)
        raise (Held if held else NoLocks)(error.errno, error.strerror, str(path)) from error
