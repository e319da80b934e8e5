"""A watch over what Python touches: the files of a folder, other processes and the network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_PROCESSES_AND_NETWORK = ("os.system", "subprocess.Popen", "os.exec", "socket.connect")
_watched: list[tuple[str, list[str]]] = []


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Fail if the block names a path in a folder to the system, starts a process or connects."""
    _install()
    seen: list[str] = []
    _watched.append((str(folder), seen))
    try:
        yield
    finally:
        _watched.pop()
    assert seen == [], seen


@cache
def _install() -> None:
    sys.addaudithook(_audit)  # it cannot be removed, and does nothing while nothing is watched


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return
    folder, seen = _watched[-1]
    if event in _PROCESSES_AND_NETWORK or any(
        folder in os.fsdecode(a) for a in arguments if isinstance(a, (str, bytes, os.PathLike))
    ):
        seen.append(f"{event} {arguments}")
