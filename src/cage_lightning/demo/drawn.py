"""Releases that are drawn on first use: once, completely, by several processes."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from cage_lightning.errors import DataError
from cage_lightning.system.atomic import locked
from cage_lightning.system.processes import map_in_processes, processes_for
from cage_lightning.system.storage import room_for

Chunk = TypeVar("Chunk")
Drawn = TypeVar("Drawn")

_WORTH_A_PROCESS = 1_000


def write_once(
    root: Path, what: str, description: Mapping[str, Any], write: Callable[[Path], None]
) -> None:
    """Write a drawn release, unless it is there already.

    The folder appears under its name when it is complete. A process that comes while another one
    draws waits for it.

    Args:
        root: Folder to write. ``{root}.lock`` beside it stays.
        what: What is drawn, for messages, for example ``demo faces``.
        description: What the pictures depend on, as JSON values; kept in ``release.json``.
        write: Fills a folder that does not exist yet.

    Raises:
        DataError: `root` holds something else, or a release of another description.
        OutputError: There is no room for it, or it may not be written.
    """
    root = root.resolve()
    with room_for(root):
        _write_once(root, what, description, write)


def _write_once(
    root: Path, what: str, description: Mapping[str, Any], write: Callable[[Path], None]
) -> None:
    if _is_complete(root, what, description):
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with locked(root.with_name(f"{root.name}.lock")):
        if _is_complete(root, what, description):
            return
        for left_over in root.parent.glob(f"{glob.escape(root.name)}.partial-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        # The process id keeps orphaned workers of a killed run out of this folder.
        folder = root.with_name(f"{root.name}.partial-{os.getpid()}")
        write(folder)
        (folder / "release.json").write_text(
            json.dumps(description, indent=2) + "\n", encoding="utf-8"
        )
        folder.replace(root)


def draw_chunks(
    draw: Callable[[Chunk], Drawn],
    chunks: Sequence[Chunk],
    pictures: int,
    workers: int | None,
    title: str,
) -> list[Drawn]:
    """``[draw(chunk) for chunk in chunks]`` in several processes, with a progress bar.

    Processes are spawned: a script that uses more than one worker needs the usual
    ``if __name__ == "__main__":``.

    Args:
        draw: Draws the pictures of one chunk; can be pickled.
        chunks: What one process draws in one go.
        pictures: Number of pictures in all chunks.
        workers: Number of processes; 1 draws in this process. By default one per usable CPU, and 1
            for a number of pictures too small to be worth it.
        title: Text beside the progress bar.
    """
    drawn = map_in_processes(draw, chunks, workers or processes_for(pictures, _WORTH_A_PROCESS))
    console = Console(stderr=True)
    return list(track(drawn, description=title, total=len(chunks), console=console))


def _is_complete(root: Path, what: str, description: Mapping[str, Any]) -> bool:
    """Whether `root` is the described release; an error if it is anything but that or nothing."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    remedy = "delete it or choose another folder"
    try:
        found = json.loads((root / "release.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{root} exists but holds no {what}: {remedy}") from None
    if found != description:
        raise DataError(f"{root} holds {what} {found}, not {description}: {remedy}")
    return True
