"""Boxes that somebody else has found, from a CSV file."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cage_lightning.errors import ConfigError, DataError
from cage_lightning.faces.face import SMALLEST_BOX, Face, Faces
from cage_lightning.faces.frames import Frame
from cage_lightning.faces.sources import Item

_EDGES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class GivenBoxes:
    """The boxes, by the name of an item and the number of a frame (None for a picture)."""

    faces: Mapping[tuple[str, int | None], Faces]

    def find(self, frames: Sequence[Frame]) -> list[tuple[Frame, Faces]]:
        """Each frame and its faces or persons, in the order of the file.

        A box that lies outside of its picture is a fault of the frame.
        """
        return [self._checked(frame) for frame in frames]

    def _checked(self, frame: Frame) -> tuple[Frame, Faces]:
        if frame.picture is None:
            return frame, ()
        height, width = frame.picture.shape[:2]
        for face in (faces := self.faces.get((frame.file, frame.number), ())):
            left, top, right, bottom = face.box
            inside = (min(right, width) - max(left, 0), min(bottom, height) - max(top, 0))
            if min(inside) < SMALLEST_BOX:
                fault = f"the box {face.box} lies outside of its {width}x{height} pixels"
                return replace(frame, picture=None, fault=fault), ()
        return frame, faces


def read_boxes(path: Path, items: Sequence[Item]) -> GivenBoxes:
    """Read a CSV file with the columns file, left, top, right and bottom, and for videos frame.

    Args:
        path: The file. What ``file`` names is a path as `source=` names it, or one relative to the
            folder of this file; ``frame`` is the number of a frame, from 0, and empty for a
            picture. Edges are in pixels of the upright picture.
        items: Pictures and videos.

    Raises:
        ConfigError: An item is a camera or a stream.
        DataError: A column is missing, an edge or frame is no number, or a row names no item.
    """
    if any(item.is_live for item in items):
        raise ConfigError(f"boxes={path}: nobody knows the boxes of a camera or stream beforehand")
    known = {key: item for item in items for key in (item.place, _whole(Path(item.place)))}
    found: dict[tuple[str, int | None], Faces] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := {"file", *_EDGES} - set(reader.fieldnames or ()):
                raise DataError(f"{path} has no column {', '.join(sorted(missing))}")
            for number, row in enumerate(reader, 2):
                where = f"{path}, line {number}"
                item = known.get(row["file"]) or known.get(_whole(path.parent / row["file"]))
                if item is None:
                    raise DataError(f"{where}: source= has no file {row['file']!r}")
                place = (item.name, _frame(row, item, where))
                found[place] = (*found.get(place, ()), _face(row, where))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"boxes={path} cannot be read: {error}") from error
    return GivenBoxes(found)


def _whole(path: Path) -> str:
    return str(path.absolute())


def _frame(row: Mapping[str, str], item: Item, where: str) -> int | None:
    text = row.get("frame") or ""
    if item.kind == "picture" and not text:
        return None
    if item.kind == "video" and text.isascii() and text.isdigit():
        return int(text)
    raise DataError(
        f"{where}: the column frame holds the number of a frame of a video, and nothing for a "
        f"picture; here it is {text!r}"
    )


def _face(row: Mapping[str, str], where: str) -> Face:
    try:
        left, top, right, bottom = (float(row[edge]) for edge in _EDGES)
    except (TypeError, ValueError):
        raise DataError(f"{where}: an edge of the box is no number") from None
    box = (left, top, right, bottom)
    if not all(map(math.isfinite, box)) or right <= left or bottom <= top:
        raise DataError(f"{where}: {box} is no box")
    return Face(box)
