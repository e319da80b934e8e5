"""The files of a release, and by what a change of them is noticed.

To look at every file of a large release takes minutes on a network disk. `prepare` does so, and
leaves a note of when each folder had changed last. As long as the folders have not changed, a start
of a training looks at them alone, and at the files of the smallest ones: a picture among many that
was written over in place is noticed by `prepare` only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cage_lightning.system.atomic import write_atomic

NOTE = "release.json"
"""The file of the store that holds the note."""

_LOOKED_AT = 10_000  # files of the smallest folders, together
_SAME_TIME_NS = 2 * 10**9  # a change so shortly before the note may have left the time as it was


class Note(NamedTuple):
    """What is remembered of a release.

    Attributes:
        release: See `fingerprint_of`.
        folders: See `Listing`.
        files: See `Listing`; those of the smallest folders.
    """

    release: str
    folders: dict[str, int]
    files: dict[str, str]


class Listing(NamedTuple):
    """What lies below the root of a release.

    Attributes:
        files: Path -> size and time of change.
        folders: Path, that of the root is a dot -> time of change in ns, from before its files were
            listed.
    """

    files: dict[str, str]
    folders: dict[str, int]

    def note(self) -> Note:
        """What is remembered of it, which is little."""
        return Note(fingerprint_of(self.files), self.folders, dict(_of_small_folders(self.files)))


def list_release(root: Path, without: Path) -> Listing:
    """The visible files below a folder, and their folders.

    Links to folders are followed, each folder is visited once.

    Args:
        root: The folder.
        without: A folder that is passed over, the store itself.
    """
    files: dict[str, str] = {}
    folders: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    if without.is_dir():
        seen.add(_identity(without.stat()))

    def visit(folder: str, prefix: str) -> None:
        state = Path(folder).stat()
        if _identity(state) in seen:
            return
        seen.add(_identity(state))
        folders[prefix.rstrip("/") or "."] = state.st_mtime_ns
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[0] == ".":
                    continue
                try:
                    is_folder, about = entry.is_dir(), entry.stat()
                except OSError:  # a link that leads nowhere, or to itself
                    files[prefix + entry.name] = ""
                    continue
                if is_folder:
                    visit(entry.path, f"{prefix}{entry.name}/")
                else:
                    files[prefix + entry.name] = _state(about)

    visit(str(root), "")
    return Listing(files, folders)


def fingerprint_of(files: Mapping[str, str]) -> str:
    """SHA-256 (hex) over names, sizes and times of change of the files of a release."""
    return hashlib.sha256(os.fsencode("\n".join(sorted(map("\0".join, files.items()))))).hexdigest()


def write_note(file: Path, note: Note) -> None:
    """Note what a release is like, for `is_as_noted`.

    Raises:
        OutputError: The file cannot be written.
    """
    # A name may have bytes that are no text: their escapes are.
    write_atomic(file, json.dumps(note._asdict(), sort_keys=True) + "\n")


def is_as_noted(file: Path, root: Path, release: str) -> bool:
    """Whether the folders of a release tell that it is still that of a fingerprint.

    False may also mean that they cannot tell, or that there is no note of it.
    """
    try:
        written, note = file.stat().st_mtime_ns, Note(**json.loads(file.read_bytes()))
        folders, files = dict(note.folders), dict(note.files)
        return (
            note.release == release
            and not any(map(_leads_out, (*folders, *files)))
            and max(folders.values()) < written - _SAME_TIME_NS
            and all((root / path).stat().st_mtime_ns == at for path, at in folders.items())
            and all(_state_of(root / path) == state for path, state in files.items())
        )
    except (OSError, ValueError, TypeError):
        return False


def _of_small_folders(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    by_folder: dict[str, list[str]] = {}
    for path in files:
        by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    left = _LOOKED_AT
    for _, paths in sorted(by_folder.items(), key=lambda entry: (len(entry[1]), entry[0])):
        left -= len(paths)
        if left < 0:
            return
        yield from ((path, files[path]) for path in paths)


def _leads_out(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/")


def _state_of(path: Path) -> str:
    try:
        return _state(path.stat())
    except OSError:  # as in a listing
        return ""


def _state(about: os.stat_result) -> str:
    return f"{about.st_size} {about.st_mtime_ns}"


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino
