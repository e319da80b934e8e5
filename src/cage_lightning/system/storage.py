"""Room for what a command writes: looked for before the work, and missed in one clear line."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cage_lightning.errors import CageError, ConfigError, OutputError

SHARED_MEMORY = Path("/dev/shm")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
_NO_SHARED_MEMORY = re.compile(
    r"killed by signal: Bus error|shared memory\s?\(shm\)|out of shared memory"
)
_MEBIBYTE = 2**20


def check_writable(folder: Path, setting: str) -> None:
    """Make sure, before the work, that files can be made in a folder, which need not be there yet.

    Args:
        folder: Where the results go.
        setting: Where else they could go, for the message, such as ``output=DIR``.

    Raises:
        ConfigError: They cannot.
    """
    _check(folder, folder, setting)


def check_writable_file(file: Path, setting: str) -> None:
    """The same for one file, which may be there already.

    Raises:
        ConfigError: It cannot be written.
    """
    if file.is_dir():
        raise ConfigError(f"cannot write to {file}: it is a folder; name a file with {setting}")
    _check(file.parent, file, setting)


def check_shared_memory(size: int) -> None:
    """Make sure, before the work, that the processes of a loader can hand over a batch.

    Args:
        size: Of the batch, in bytes.

    Raises:
        OutputError: They cannot.
    """
    if not has_shared_memory(size):
        raise OutputError(_too_little_shared_memory())


def has_shared_memory(size: int) -> bool:
    """Whether so many bytes are free; where there is no such place, nobody needs it."""
    return not SHARED_MEMORY.is_dir() or _free(SHARED_MEMORY) >= size


@contextmanager
def room_for(place: Path) -> Iterator[None]:
    """Say what is missing when what is written in the block has no room, or may not be written.

    Args:
        place: What is written: named where the error does not name a file.

    Raises:
        OutputError: In the place of such an error.
    """
    try:
        yield
    except CageError:
        raise
    except Exception as error:
        if (said := shortage(error, place)) is not None:
            raise OutputError(said) from error
        raise


def shortage(error: BaseException, place: Path) -> str | None:
    """What a full or read-only disk, or too little shared memory, had to do with an error.

    Libraries raise errors of their own on the way: torch says ``unexpected pos 704 vs 598``.

    Args:
        error: It, what caused it and what it came after are looked through.
        place: What was written: named where the error does not name a file.

    Returns:
        A message with the cause and the remedy; None: it has another cause.
    """
    chain = list(_chain(error))
    if any(isinstance(one, RuntimeError) and _NO_SHARED_MEMORY.search(str(one)) for one in chain):
        return _too_little_shared_memory()
    for one in chain:
        if not isinstance(one, OSError):
            continue
        file = Path(os.fsdecode(one.filename)) if one.filename else place
        if one.errno in _FULL or "No space left on device" in str(one):
            full = f"{one.strerror or one}: make room, and the same command goes on"
            if one.filename or _free(place) < _MEBIBYTE:
                return f"{file}: {full}"
            # The locks of a loader are made there, and their error names nothing.
            return full if has_shared_memory(_MEBIBYTE) else _too_little_shared_memory()
        if one is error and one.errno in _REFUSED and one.filename:
            return f"{file}: {one.strerror}"
    return None


def _check(folder: Path, place: Path, setting: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=_there(folder)):
            pass
    except OSError as error:
        raise ConfigError(
            f"cannot write to {place}: {error.strerror}; say where the results go with {setting}"
        ) from error


def _too_little_shared_memory() -> str:
    size = f", of {_total(SHARED_MEMORY) / _MEBIBYTE:.1f} MiB," if SHARED_MEMORY.is_dir() else ""
    return (
        f"the shared memory in {SHARED_MEMORY}{size} is too small for the processes that decode "
        "pictures: data.num_workers=0 does without, or give a container more with --shm-size=8g; "
        "the same command goes on"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())


def _free(place: Path) -> int:
    return shutil.disk_usage(_there(place)).free


def _total(place: Path) -> int:
    return shutil.disk_usage(place).total
