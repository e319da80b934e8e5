"""Files that are whole or not there, and folders that one process at a time works in."""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cage_lightning.system.paths import open_regular
from cage_lightning.system.storage import room_for


class Held(BlockingIOError):
    """Another process holds a lock."""


class NoLocks(OSError):
    """The file system has no locks."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place to write `path` anew: a kill at any moment leaves the old file or the new one, whole.

    Yields:
        A file name in the same folder. It takes the place of `path` when the block ends well.

    Raises:
        OutputError: There is no room for it, or it may not be written.
    """
    with room_for(path), _replacing(path) as part:
        yield part


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the target's name: Lightning takes whatever contains "hpc_ckpt_" for a checkpoint. A name
    # that nobody guesses, and a new file: a link that lies in wait would be written through.
    part = path.with_name(f".part-{secrets.token_hex(16)}")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode=0o666))
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):  # which would hide why it could not be written
            part.unlink()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a kill at any moment leaves the old one or the new one, whole."""
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table with a header, as `write_atomic` does; None is an empty field."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, buffer.getvalue())


def open_log(path: Path) -> io.TextIOWrapper:
    """A file to write further lines to.

    Where it has other names (hard links, as in a backup), they keep what it was.

    Raises:
        DataError: It is a link, or no file.
        OSError: It cannot be written.
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
        path: The lock file; it stays as it is.
        wait: Wait for the process that holds it.

    Raises:
        Held: Another process holds it, and `wait` is false.
        NoLocks: The file system has none.
        DataError: It is a link, or no file.
        OSError: It cannot be opened for writing.
    """
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
    try:
        _lock(path, descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether another process holds the lock, which is seen also where nothing can be written.

    Raises:
        OSError, DataError: As `locked`.
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
        # lockf, not flock: a killed process's children live on for some seconds, and would hold
        # what they inherited.
        fcntl.lockf(descriptor, kind)
    except OSError as error:
        held = error.errno in (errno.EAGAIN, errno.EACCES)
        raise (Held if held else NoLocks)(error.errno, error.strerror, str(path)) from error
