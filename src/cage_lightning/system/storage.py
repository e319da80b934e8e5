"""Checks that a command can write its results, and one clear line where it cannot.

Folders and shared memory are checked before the work. An error during the work, such as that of a
full disk, is translated into a message with its cause and a remedy.
"""

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
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
_REFUSED = (*_FORBIDDEN, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)
_NO_SHARED_MEMORY = re.compile(
    r"killed by signal: Bus error|shared memory\s?\(shm\)|out of shared memory"
)
# Of torch, about a loader process that is gone, and about one that crashed.
_LOST_LOADER = re.compile(r"DataLoader worker \(pid.*?\) (is killed by|exited unexpectedly)")
_CRASHED_LOADER = re.compile(r"is killed by signal: (?!Killed|Terminated)")
# Of torch, about the memory of a device; its `OutOfMemoryError` is for GPUs alone.
_NO_MEMORY = re.compile(
    r"\w+ out of memory(\. Tried to allocate [\d.]+ \w+)?|CUDA error: out of memory"
    r"|DefaultCPUAllocator: .*?you tried to allocate \d+ bytes"
)
_MEBIBYTE = 2**20


def check_writable(folder: Path, setting: str) -> None:
    """Refuse a folder in which no file can be made; the folder need not exist yet.

    Args:
        folder: The folder of the results.
        setting: What a user types to choose another one, such as ``output=DIR``; for the message.

    Raises:
        ConfigError: No file can be made in it.
    """
    _check(folder, folder, setting)


def check_writable_file(file: Path, setting: str) -> None:
    """Refuse a file that cannot be written; it may exist already.

    Args:
        file: The file of the results.
        setting: What a user types to choose another one, such as ``output=FILE``.

    Raises:
        ConfigError: It is a folder, or no file can be made in the folder around it.
    """
    if file.is_dir():
        raise ConfigError(f"cannot write to {file}: it is a folder; name a file with {setting}")
    _check(file.parent, file, setting)


def check_shared_memory(size: int) -> None:
    """Refuse to start worker processes whose batches do not fit into the shared memory.

    Args:
        size: Size of a batch in bytes.

    Raises:
        OutputError: Fewer bytes than that are free.
    """
    if not has_shared_memory(size):
        raise OutputError(_too_little_shared_memory())


def has_shared_memory(size: int) -> bool:
    """Whether `size` bytes are free in `SHARED_MEMORY`; True on systems without that folder."""
    return not SHARED_MEMORY.is_dir() or _free(SHARED_MEMORY) >= size


@contextmanager
def room_for(place: Path) -> Iterator[None]:
    """Translate errors of a disk that is full, read-only or gone, or of memory, in the block.

    Args:
        place: The file or folder that the block writes; the message names it where the error names
            no file.

    Raises:
        OutputError: Takes the place of such an error; every other error passes unchanged.
    """
    try:
        yield
    except CageError:
        raise
    except Exception as error:
        if message := shortage(error, place) or _lost_folder(error, place):
            raise OutputError(message) from error
        raise


def shortage(error: BaseException, place: Path) -> str | None:
    """Explain an error by a full or read-only disk, too little memory, or a lost loader process.

    Libraries raise errors of their own in such a case: torch reports ``unexpected pos 704 vs 598``.

    Args:
        error: The error; its causes and contexts are searched as well.
        place: The file or folder that was written; the message names it where the error names no
            file.

    Returns:
        A message with the cause and the remedy, or None if the error has another cause.
    """
    chain = list(_chain(error))
    if any(isinstance(one, RuntimeError) and _NO_SHARED_MEMORY.search(str(one)) for one in chain):
        return _too_little_shared_memory()
    if lost_loader(error):
        return (
            "a process that decodes pictures was ended from outside: where the memory ran out, "
            "lower data.num_workers or data.batch_size; the same command goes on"
        )
    if (said := out_of_memory(error)) is not None:
        return f"the memory of the device is too small ({said}): lower the batch size"
    for one in chain:
        if not isinstance(one, OSError):
            continue
        file = Path(os.fsdecode(one.filename)) if one.filename else place
        if one.errno in _FULL or "No space left on device" in str(one):
            full = f"{one.strerror or one}: make room, and the same command goes on"
            if one.filename or _free(place) < _MEBIBYTE:
                return f"{file}: {full}"
            # The locks of a DataLoader are in the shared memory, and their error names no file.
            return full if has_shared_memory(_MEBIBYTE) else _too_little_shared_memory()
        if one is error and one.errno in _REFUSED and one.filename:
            return f"{file}: {one.strerror}"
    return None


def _lost_folder(error: BaseException, place: Path) -> str | None:
    """Explain an error by a folder, `place` or below it, that is gone; None if none is."""
    for one in _chain(error):
        if isinstance(one, FileNotFoundError) and one.filename:
            folder = Path(os.fsdecode(one.filename)).parent.absolute()
            if folder.is_relative_to(place.absolute()) and not folder.exists():
                return (
                    f"{folder} is no longer there: it was deleted or moved, or its file system is "
                    f"gone; when it is back, or all of {place} is deleted, the same command goes on"
                )
    return None


def out_of_memory(error: BaseException) -> str | None:
    """What an error, its causes or its contexts say of too little memory of a device."""
    said = (str(one) for one in _chain(error) if isinstance(one, RuntimeError))
    return next((found.group() for text in said if (found := _NO_MEMORY.search(text))), None)


def lost_loader(error: BaseException) -> bool:
    """Whether an error, its causes or its contexts say that a loader process was ended.

    One that crashed, as after a segmentation fault, was not.
    """
    said = [str(one) for one in _chain(error) if isinstance(one, RuntimeError)]
    return any(map(_LOST_LOADER.match, said)) and not any(map(_CRASHED_LOADER.search, said))


def not_writable(place: Path, error: OSError, setting: str) -> ConfigError:
    """An error for a user: nothing can be written to a place, why, and what to do about it.

    Args:
        place: The file or folder.
        error: What the system reported.
        setting: What a user types to choose another place, such as ``output=DIR``.
    """
    remedy = ""
    if error.errno in _FULL:
        remedy = "make room there, or "
    elif error.errno in _FORBIDDEN:
        remedy = "make it writable, or "
    return ConfigError(
        f"cannot write to {place}: {error.strerror}; {remedy}say where the results go with "
        f"{setting}"
    )


def _check(folder: Path, place: Path, setting: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            pass
    except OSError as error:
        raise not_writable(place, error, setting) from error


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


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())


def _free(place: Path) -> int:
    return shutil.disk_usage(_existing(place)).free


def _total(place: Path) -> int:
    return shutil.disk_usage(place).total
