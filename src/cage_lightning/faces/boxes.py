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
    """The boxes of each file, by the name of its item."""

    faces: Mapping[str, Faces]

    def find(self, frames: Sequence[Frame]) -> list[tuple[Frame, Faces]]:
        """Each frame and its faces or persons, in the order of the file.

        A box that lies outside of its picture is a fault of the frame.
        """
        return [self._checked(frame) for frame in frames]

    def _checked(self, frame: Frame) -> tuple[Frame, Faces]:
        if frame.picture is None:
            return frame, ()
        height, width = frame.picture.shape[:2]
        for face in (faces := self.faces.get(frame.file, ())):
            left, top, right, bottom = face.box
            inside = (min(right, width) - max(left, 0), min(bottom, height) - max(top, 0))
            if min(inside) < SMALLEST_BOX:
                fault = f"the box {face.box} lies outside of its {width}x{height} pixels"
                return replace(frame, picture=None, fault=fault), ()
        return frame, faces


def read_boxes(path: Path, items: Sequence[Item]) -> GivenBoxes:
    """Read a CSV file with the columns file, left, top, right and bottom.

    Args:
        path: The file. What ``file`` names is a path as `source=` names it, or one relative to the
            folder of this file. Edges are in pixels of the upright picture.
        items: Pictures.

    Raises:
        ConfigError: An item is no picture.
        DataError: A column is missing, an edge is no number, or a row names no item.
    """
    if any(item.kind != "picture" for item in items):
        raise ConfigError(f"boxes={path}: boxes are for pictures, and source= names something else")
    known = {key: item.name for item in items for key in (item.place, _whole(Path(item.place)))}
    found: dict[str, Faces] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := {"file", *_EDGES} - set(reader.fieldnames or ()):
                raise DataError(f"{path} has no column {', '.join(sorted(missing))}")
            for number, row in enumerate(reader, 2):
                where = f"{path}, line {number}"
                name = known.get(row["file"]) or known.get(_whole(path.parent / row["file"]))
                if name is None:
                    raise DataError(f"{where}: source= has no picture {row['file']!r}")
                found[name] = (*found.get(name, ()), _face(row, where))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"boxes={path} cannot be read: {error}") from error
    return GivenBoxes(found)


def _whole(path: Path) -> str:
    return str(path.absolute())


def _face(row: Mapping[str, str], where: str) -> Face:
    try:
        left, top, right, bottom = (float(row[edge]) for edge in _EDGES)
    except (TypeError, ValueError):
        raise DataError(f"{where}: an edge of the box is no number") from None
    box = (left, top, right, bottom)
    if not all(map(math.isfinite, box)) or right <= left or bottom <= top:
        raise DataError(f"{where}: {box} is no box")
    return Face(box)
