"""Rows for what was found in pictures and videos.

A face is a row. So is a picture, or a frame of a video, without a face (``faces`` is 0), and one
that cannot be read (``fault`` says why): rows add up to what was looked at.

The columns: ``file``, ``frame`` and ``time_s`` (both null for a picture); ``faces``, how many there
are in it (null for a fault); ``face`` (from 0, the largest first), ``left``, ``top``, ``right`` and
``bottom`` in pixels of the upright picture, ``detector_score``, ``track`` (null for a picture);
``category`` (several in a multi-label space) and ``prob_<category>``; ``<dimension>``, nominally in
[-1, 1]; with an ensemble ``prob_<category>_spread`` and ``<dimension>_spread``; with smoothing
``<dimension>_smoothed``; ``fault``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

import pyarrow as pa

from cage_lightning.faces.face import Face, Faces
from cage_lightning.faces.frames import Frame
from cage_lightning.faces.tracking import Filter, Smoothing, Tracker, make_filter
from cage_lightning.labels import LabelSpace

Row = dict[str, Any]
_BOX = ("left", "top", "right", "bottom")
_FRAMES_PER_S = 25.0  # where a video has no timestamps


class Inferred(Protocol):
    """What a model says about N faces: `cage_lightning.deploy.expressions.Expressions`."""

    @property
    def space(self) -> LabelSpace:
        """Of the categories and dimensions."""
        ...

    def columns(self) -> dict[str, list[Any]]:
        """``category``, ``prob_<category>``, ``<dimension>`` and their spreads, N values each."""
        ...


def make_rows(found: Sequence[tuple[Frame, Faces]], expressions: Iterable[Row]) -> list[Row]:
    """The rows of some frames.

    Args:
        found: The frames in their order, and the faces in each.
        expressions: Of all these faces, in the order of the frames; see `expression_rows`.
    """
    rows: list[Row] = []
    following = iter(expressions)
    for frame, members in found:
        about = {"file": frame.file, "frame": frame.number, "time_s": frame.time_s}
        if frame.fault is not None:
            rows.append(about | {"fault": frame.fault})
            continue
        about["faces"] = len(members)
        rows += [] if members else [about]
        rows += [
            about | {"face": n} | _of_face(face) | next(following) for n, face in enumerate(members)
        ]
    return rows


def expression_rows(inferred: Inferred) -> list[Row]:
    """What a model says about each face, by column."""
    columns = inferred.columns()
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _of_face(face: Face) -> Row:
    return dict(zip(_BOX, face.box, strict=True)) | {"detector_score": face.score}


def make_schema(inferred: Inferred, smoothing: Smoothing) -> pa.Schema:
    """The columns of the rows.

    Args:
        inferred: By the same model, about any faces or none.
        smoothing: Of affect.
    """
    columns = {"file": pa.string(), "frame": pa.int64(), "time_s": pa.float64()}
    columns |= {"faces": pa.int32(), "face": pa.int32()}
    columns |= {edge: pa.float32() for edge in _BOX}
    columns |= {"detector_score": pa.float32(), "track": pa.int32()}
    columns |= {name: pa.float32() for name in inferred.columns()}
    if "category" in columns:
        several = inferred.space.multi_label
        columns["category"] = pa.list_(pa.string()) if several else pa.string()
    if smoothing != "none":
        columns |= {f"{name}_smoothed": pa.float32() for name in dimensions_of(inferred)}
    return pa.schema(columns | {"fault": pa.string()})


def dimensions_of(inferred: Inferred) -> tuple[str, ...]:
    """The dimensions of affect that a model infers."""
    return tuple(name for name in inferred.space.dimensions if name in inferred.columns())


@dataclass
class Follower:
    """Adds ``track`` to the rows of videos, and smooths affect.

    Args:
        smoothing: How.
        dimensions: The columns of affect.
    """

    smoothing: Smoothing
    dimensions: tuple[str, ...]
    _file: str | None = None
    _tracker: Tracker = field(default_factory=Tracker)
    _filters: dict[int, Filter] = field(default_factory=dict)

    def follow(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, completed; called with one batch after the other, in their order."""
        for (file, frame), members in groupby(rows, lambda row: (row["file"], row["frame"])):
            of_frame = list(members)
            if file != self._file:
                self._file, self._tracker, self._filters = file, Tracker(), {}
            if frame is not None:
                self._complete([row for row in of_frame if row.get("face") is not None])
            yield from of_frame

    def _complete(self, faces: Sequence[Row]) -> None:
        tracks = self._tracker.follow([tuple(row[edge] for edge in _BOX) for row in faces])
        for row, track in zip(faces, tracks, strict=True):
            row["track"] = track
            if self.smoothing != "none" and self.dimensions:
                time_s = row["time_s"]
                smooth = self._filters.setdefault(track, make_filter(self.smoothing)).smooth
                values = smooth(
                    row["frame"] / _FRAMES_PER_S if time_s is None else time_s,
                    [row[name] for name in self.dimensions],
                )
                names = (f"{name}_smoothed" for name in self.dimensions)
                row.update(zip(names, values, strict=True))
