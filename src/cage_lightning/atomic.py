"""Files that are whole or not there, and folders that one process at a time works in."""

from __future__ import annotations

import csv
import fcntl
import io
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_part = itertools.count()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place to write `path` anew: a kill at any moment leaves the old file or the new one, whole.

    Yields:
        A file name in the same folder. It takes the place of `path` when the block ends well.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the target's name: Lightning takes whatever contains "hpc_ckpt_" for a checkpoint.
    part = path.with_name(f".part-{os.getpid()}-{next(_part)}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock, which the system releases even if this process is killed.

    Args:
        path: The lock file; it stays.
        wait: Wait for the process that holds it.

    Raises:
        OSError: Another process holds it, and `wait` is false.
    """
    with path.open("w") as file:
        # lockf, not flock: a killed process's children live on for some seconds, and would hold
        # what they inherited.
        fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
