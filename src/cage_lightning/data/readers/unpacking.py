"""Pictures that a table holds itself, unpacked once into files of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from cage_lightning.system.atomic import locked
from cage_lightning.system.storage import room_for

_ABOUT = "list.json"


def is_unpacked(folder: Path, about: Mapping[str, object]) -> bool:
    """Whether the folder has all pictures of what `about` describes."""
    try:
        return bool(json.loads((folder / _ABOUT).read_bytes()) == about)
    except (OSError, ValueError):
        return False


def unpack(
    folder: Path, about: Mapping[str, object], pictures: Iterable[tuple[str, bytes]]
) -> None:
    """Write pictures into a folder, which appears when it is complete.

    A folder of another content is made anew. A process that comes while another one writes waits
    for it.

    Args:
        folder: Where they go.
        about: What tells the source of the pictures from another one, as JSON keeps it.
        pictures: The path below `folder` and the content of each file; only read if they are
            needed.

    Raises:
        OutputError: There is no room for the pictures, or they may not be written.
    """
    with room_for(folder):
        if not folder.parent.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not is_unpacked(folder, about):
                part = folder.with_name(f"{folder.name}.part")
                for older in (part, folder):
                    shutil.rmtree(older, ignore_errors=True)
                part.mkdir()
                for place, content in pictures:
                    (part / place).parent.mkdir(parents=True, exist_ok=True)
                    (part / place).write_bytes(content)
                (part / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
                part.rename(folder)
