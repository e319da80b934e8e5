"""Reading many small files, and which of them may be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from cage_lightning.errors import DataError

Name = TypeVar("Name")
Value = TypeVar("Value")

THREADS = 16
CHUNK = 512
SHOW_PROGRESS_FROM = 20_000


def map_files(read: Callable[[Name], Value], names: Sequence[Name], title: str) -> list[Value]:
    """``[read(name) for name in names]`` in threads, which wait for a network disk together.

    Args:
        read: Called with one name; safe to call from several threads.
        names: Any number of names, or row numbers; from 20,000 on a progress bar is shown on
            stderr.
        title: Text beside the progress bar.

    Returns:
        The values in the order of `names`. If `read` raises, the error of the first name in that
        order is raised and files not yet begun are not read.
    """
    chunks = [names[i : i + CHUNK] for i in range(0, len(names), CHUNK)]
    with ThreadPoolExecutor(THREADS) as pool:
        values = track(
            pool.map(lambda chunk: [read(name) for name in chunk], chunks),
            description=title,
            total=len(chunks),
            console=Console(stderr=True),
            disable=len(names) < SHOW_PROGRESS_FROM,
        )
        return [value for chunk in values for value in chunk]


def stays_inside(root: Path, path: str) -> bool:
    """Whether a picture's path does not lead out of `root`.

    Folders below `root` may be links, for pictures on another disk: a picture that is a link itself
    may end below `root` or below its own folder.
    """
    if path.startswith("/") or ".." in path.split("/"):
        return False
    # realpath, because Path.resolve fails on a link to itself.
    target = Path(os.path.realpath(root / path))
    places = (root, (root / path).parent)
    return any(target.is_relative_to(os.path.realpath(place)) for place in places)


def usable_cpus() -> int:
    """The share of the machine that a cluster job was given, where the system can tell."""
    has_share = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_share else os.cpu_count() or 1


def no_release(dataset: str, split: str, root: Path, layouts: Mapping[str, str]) -> DataError:
    """The error for a root that holds no release of a dataset.

    Args:
        dataset: Its name, for the message.
        split: The split that was asked for.
        root: Where it was looked for.
        layouts: Name of a release -> what it looks like on disk.
    """
    state = "has none of these layouts" if root.is_dir() else "is not a folder"
    pictured = "\n".join(f"  {name}:\n{layout}" for name, layout in layouts.items())
    return DataError(
        f"No {dataset} annotations for the {split} split: {root} {state}:\n{pictured}\n"
        "Say where they are with data.root=FOLDER, or set CAGE_DATA to the parent folder."
    )
