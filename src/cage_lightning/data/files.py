"""Reading many small files, and which of them may be read."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Literal, TypeVar

from cage_lightning.errors import DataError
from cage_lightning.system.escaping import for_terminal

Name = TypeVar("Name")
Value = TypeVar("Value")

OnError = Literal["raise", "skip", "keep"]
"""What becomes of samples whose picture is missing: an error, left out and counted, or kept."""

LEAVE_OUT = "leave such pictures out with data.on_error=skip (a run that has begun: with tag=NAME)"

THREADS = 16
CHUNK = 256
SLOW_S = 3e-4  # for one file: below that, threads wait longer for Python's lock than for the disk
SHOW_PROGRESS_FROM = 20_000
MAX_BYTES = 1 << 30

# An empty part is at the ends of an absolute path, or where one was put behind a folder. Surrogates
# stand for bytes that are no text, which neither a data card nor a packed store can hold.
_NO_PATH = re.compile(r"(?:^|/)(?:\.\.)?(?:/|\Z)|[\\\0\ud800-\udfff]")


def map_files(read: Callable[[Name], Value], names: Sequence[Name], title: str) -> list[Value]:
    """``[read(name) for name in names]``, in threads where that is slow.

    A file in the system's memory takes 0.03 ms alone, and 0.17 ms of 16 threads, which hand
    Python's lock to each other. Where files are waited for (a network disk) or decoded, threads
    do so together. The first 256 files that take more than 0.3 ms each decide.

    Args:
        read: Called with one name; safe to call from several threads.
        names: Any number of names, or row numbers; from 20,000 on a progress bar is shown on
            stderr.
        title: Text beside the progress bar.

    Returns:
        The values in the order of `names`. If `read` raises, the error of the first name in that
        order is raised and files not yet begun are not read.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    chunks = [names[i : i + CHUNK] for i in range(0, len(names), CHUNK)]
    with ThreadPoolExecutor(THREADS) as pool:
        values = track(
            _map_chunks(lambda chunk: [read(name) for name in chunk], chunks, pool),
            description=escape(for_terminal(title)),
            total=len(chunks),
            console=Console(stderr=True),
            disable=len(names) < SHOW_PROGRESS_FROM,
        )
        return [value for chunk in values for value in chunk]


def _map_chunks(
    read: Callable[[Sequence[Name]], list[Value]], chunks: Sequence[Sequence[Name]], pool: Executor
) -> Iterator[list[Value]]:
    """The chunks' values: read here while that is fast, from the first slow one on in the pool."""
    for i, chunk in enumerate(chunks):
        start = perf_counter()
        values = read(chunk)
        seconds = perf_counter() - start
        yield values
        if seconds > SLOW_S * len(chunk):
            yield from pool.map(read, chunks[i + 1 :])
            return


class Refused(OSError):
    """A file that is not read. The message names what it is, then after a colon the reason."""


def read_file(path: Path) -> bytes:
    """The content of a file.

    Raises:
        Refused: It is a folder, a pipe or a device, which might never end, or larger than
            `MAX_BYTES`.
        OSError: It is missing or unreadable.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise Refused("not a file")
    if about.st_size > MAX_BYTES:
        raise Refused(f"too large: {about.st_size} bytes")
    return path.read_bytes()


def list_files(
    root: Path, pictures: Sequence[str], where: Callable[[int], str], links: bool = False
) -> set[str]:
    """Visible files in the folders of the pictures: one scan per folder, not per picture.

    Args:
        root: Folder that holds the release.
        pictures: Paths that its rows name.
        where: Row -> the place a person would look at, for messages.
        links: Accept pictures that are links to a file outside, where nobody opens them.

    Returns:
        Paths relative to `root`.

    Raises:
        DataError: A picture's path is not plain; the picture is a link to a file outside (folders
            may be links); or a folder cannot be read.
    """
    for row, picture in enumerate(pictures):
        if not is_plain(picture):
            raise DataError(
                f"{where(row)}: the picture {picture!r} is not a path below {root} with '/' in "
                "between"
            )
    files: set[str] = set()
    linked: set[str] = set()
    for folder in {picture.rpartition("/")[0] for picture in pictures}:
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        path = f"{folder}/{entry.name}" if folder else entry.name
                        (linked if entry.is_symlink() else files).add(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise DataError(f"cannot list the pictures: {error}") from error
    for row, picture in enumerate(pictures if linked and not links else ()):
        if picture in linked:
            refuse_outside(root, picture, f"{where(row)}: the picture {picture!r}")
    return files | linked


def first_file(root: Path, paths: Sequence[str]) -> Path | None:
    """The first of some paths below `root` that is a file.

    Raises:
        DataError: It is a link to a file outside.
    """
    path = next((path for path in paths if (root / path).is_file()), None)
    if path is None:
        return None
    refuse_outside(root, path, str(root / path))
    return root / path


def refuse_outside(root: Path, path: str, name: str) -> None:
    """Refuse a link that leads out of `root`, see `stays_inside`.

    Raises:
        DataError: It does; messages call it `name`.
    """
    if not stays_inside(root, path):
        target = os.path.realpath(root / path)
        raise DataError(
            f"{name} is a link to {target}, outside {root}. Copy it, or link its folder."
        )


def is_plain(path: str) -> bool:
    """Whether a path is relative, is text with ``/`` in between, and never goes up."""
    return _NO_PATH.search(path) is None


def stays_inside(root: Path, path: str) -> bool:
    """Whether a file's path does not lead out of `root`.

    Folders below `root` may be links, for pictures on another disk: a file that is a link itself
    may end below `root` or below its own folder.
    """
    if not is_plain(path):
        return False
    # realpath, because Path.resolve fails on a link to itself.
    target = Path(os.path.realpath(root / path))
    places = (root, (root / path).parent)
    return any(target.is_relative_to(os.path.realpath(place)) for place in places)


def no_release(dataset: str, split: str, root: Path, layouts: Mapping[str, str]) -> DataError:
    """The error for a root that holds no release of a dataset.

    Args:
        dataset: Its name, for the message.
        split: The split that was asked for.
        root: Where it was looked for.
        layouts: Name of a release -> what it looks like on disk.
    """
    state = "has none of these layouts" if root.is_dir() else "is not a folder"
    pictured = "\n".join(f"  {name}:\n{layout}" for name, layout in layouts.items()).splitlines()
    return DataError(
        f"No {dataset} annotations for the {split} split: {root} {state}:",
        *pictured,
        "Say where they are with data.root=FOLDER, or set CAGE_DATA to the parent folder.",
    )
