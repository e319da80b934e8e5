"""What `source=` names: pictures, videos, cameras and streams."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cage_lightning.data.formats import is_passed_over
from cage_lightning.errors import ConfigError

Kind = Literal["picture", "video", "camera", "stream"]

VIDEOS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv",
    ".3gp", ".ogv",
)  # fmt: skip
"""A file with one of these endings is a video; every other one is taken for a picture."""

_STREAM = re.compile(r"(?:rtsps?|rtmps?|https?|udp|tcp|srt)://", re.IGNORECASE)
_PASSWORD = re.compile(r"^(\w+://)[^/@]*@")
_LARGEST_LIST = 1 << 28  # bytes
_EXAMPLES = (
    "a picture, a folder, a glob, a list file (.txt), a video, a camera's number or a stream"
)


@dataclass(frozen=True)
class Item:
    """One thing to look at.

    Attributes:
        place: A file's path, a stream's address, or a camera's number.
        kind: What it is.
    """

    place: str
    kind: Kind

    @property
    def name(self) -> str:
        """What rows call it: `place` without a password, and with what is no text escaped."""
        place = _PASSWORD.sub(r"\1", self.place) if self.kind == "stream" else self.place
        return os.fsencode(place).decode("utf-8", "backslashreplace")

    @property
    def is_live(self) -> bool:
        """Whether it happens while it is looked at, so that nobody can look at it again."""
        return self.kind in ("camera", "stream")


def list_items(source: str | Sequence[str]) -> list[Item]:
    """What a source, or each of several, names.

    Args:
        source: A picture or video; a folder, which is searched at every depth in the order of the
            names (hidden files and those that Windows puts there are left out); a glob, with ``**``
            for folders at any depth; a text file with one path a line, relative to the folder of
            that file; the number of a camera; or the address of a stream.

    Raises:
        ConfigError: There is no such thing, or nothing in it.
    """
    sources = [source] if isinstance(source, str) else list(source)
    items = [item for one in sources for item in _items(str(one))]
    if not items:
        raise ConfigError(f"source={source}: there is no file in it")
    if len(items) > 1 and any(item.is_live for item in items):
        raise ConfigError(f"source={source}: a camera or stream is looked at alone")
    return items


def _items(source: str) -> list[Item]:
    if re.fullmatch(r"\d{1,3}", source) and not Path(source).exists():
        return [Item(source, "camera")]
    if _STREAM.match(source):
        return [Item(source, "stream")]
    path = Path(source)
    if path.is_dir():
        return [_file(file) for file in _below(path, frozenset())]
    if path.suffix.lower() == ".txt" and path.is_file():
        return [_file(path.parent / line) for line in _lines(path)]
    if os.path.lexists(path):
        return [_file(path)]
    if glob.has_magic(source):
        names = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 (it may be absolute)
        return [_file(Path(name)) for name in names if not Path(name).is_dir()]
    raise ConfigError(f"source={source}: there is no such file; it may be {_EXAMPLES}")


def _file(path: Path) -> Item:
    return Item(str(path), "video" if path.suffix.lower() in VIDEOS else "picture")


def _below(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """The files in a folder; links to folders are followed, but not in a circle."""
    about = folder.stat()
    if (key := (about.st_dev, about.st_ino)) in above:
        return
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if is_passed_over(entry.name):
            continue
        if entry.is_dir():
            yield from _below(entry, above | {key})
        else:
            yield entry


def _lines(path: Path) -> list[str]:
    if path.stat().st_size > _LARGEST_LIST:
        raise ConfigError(f"source={path}: too long a list")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"source={path}: a list file is text in UTF-8 ({error.reason})") from None
    return [line.strip() for line in lines if line.strip()]
