"""Reading many small files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Value = TypeVar("Value")

THREADS = 16
CHUNK = 512
SHOW_PROGRESS_FROM = 20_000


def map_files(read: Callable[[str], Value], names: Sequence[str], title: str) -> list[Value]:
    """``[read(name) for name in names]`` in threads, which wait for a network disk together.

    Args:
        read: Called with one name; safe to call from several threads.
        names: Any number of files; from 20,000 on a progress bar is shown on stderr.
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
