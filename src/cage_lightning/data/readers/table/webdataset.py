"""Shards of WebDataset: tar files with the picture and the labels of each sample side by side."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cage_lightning.data.files import MAX_BYTES, is_plain
from cage_lightning.data.formats import is_passed_over, is_picture
from cage_lightning.data.readers.table.raw import RawTable, as_text
from cage_lightning.system.escaping import on_one_line

_LARGEST_LABEL = 1 << 20  # bytes
_TEXTS = ("cls", "txt")
_PICTURE, _KEY = "image", "__key__"

_Members = dict[str, tarfile.TarInfo]
"""By what their names have behind the first point."""


def read_tar(file: Path, _: Callable[[str], bool]) -> RawTable:
    """Read a shard; see `formats.open_table`.

    The files of a sample are called alike up to the first point: ``key.jpg``, and beside it
    ``key.json``, whose fields become columns, ``key.cls`` or ``key.txt``. Nothing is unpacked under
    the names in the file.
    """
    with tarfile.open(file, "r:") as archive:
        samples = _samples(archive)
        rows = {key: _row(archive, key, members) for key, members in samples.items()}
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    return RawTable(
        file,
        [_PICTURE, *(name for name in names if name != _PICTURE)],
        lambda name: [as_text(row.get(name)) for row in rows.values()],
        [f"sample {on_one_line(key)}" for key in rows],
        embedded={_PICTURE: partial(_pictures, file, samples)},
    )


def _samples(archive: tarfile.TarFile) -> dict[str, _Members]:
    """The files of each sample by its key, in the order of the shard."""
    found: dict[str, _Members] = {}
    for member in archive:
        name = member.name.removeprefix("./")
        folder, _, last = name.rpartition("/")
        if member.isdir() or is_passed_over(last):
            continue
        if not member.isfile() or member.issparse() or not is_plain(name):
            raise ValueError(f"{name!r} is a link, a device, or no path below the shard")
        if member.size > MAX_BYTES:
            raise ValueError(f"{name!r} is too large: {member.size} bytes")
        stem, _, ending = last.partition(".")
        key = f"{folder}/{stem}" if folder else stem
        found.setdefault(key, {})[ending.lower()] = member
    return found


def _row(archive: tarfile.TarFile, key: str, members: _Members) -> Mapping[str, Any]:
    """The labels of a sample."""
    row: dict[str, Any] = {_KEY: key}
    if "json" in members:
        fields = json.loads(_text(archive, members["json"]))
        if not isinstance(fields, dict):
            raise ValueError(f"{members['json'].name!r} is no JSON object")
        row |= fields
    return row | {name: _text(archive, members[name]) for name in _TEXTS if name in members}


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    if member.size > _LARGEST_LABEL:
        raise ValueError(f"{member.name!r} is too large for a label: {member.size} bytes")
    return _content(archive, member).decode("utf-8-sig").strip()


def _pictures(file: Path, samples: dict[str, _Members]) -> Iterator[tuple[str, bytes | None]]:
    with tarfile.open(file, "r:") as archive:
        for members in samples.values():
            endings = [ending for ending in members if is_picture(f".{ending}")]
            if not endings:
                yield "", None
                continue
            picture = members[min(endings, key=lambda ending: ending.count("."))]  # no .mask.png
            content = _content(archive, picture)
            yield (picture.name, content) if content else ("", None)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = archive.extractfile(member)
    assert opened is not None  # it is a regular file
    return opened.read()
