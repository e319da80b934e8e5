"""Copies of pictures and videos with what was found in them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cage_lightning.errors import ConfigError
from cage_lightning.faces.drawing import Mark, draw_marks, mark_of
from cage_lightning.faces.face import Picture, of_extra
from cage_lightning.faces.frames import Frame, read_frames
from cage_lightning.faces.rows import Row
from cage_lightning.faces.sources import Item
from cage_lightning.labels import LabelSpace
from cage_lightning.system.atomic import replacing, write_atomic

_DONE = "drawn.json"
_QUALITY = 92  # of JPEG
_CLOCK = 90_000  # ticks per second of a video's timestamps
_FRAMES_PER_S = 25  # of a video without timestamps


def check_renderable(items: Sequence[Item]) -> None:
    """Refuse to draw what cannot be looked at again.

    Raises:
        ConfigError: A camera or a stream.
    """
    if any(item.is_live for item in items):
        raise ConfigError(
            "render=true needs files: record the camera or stream first, or leave render out"
        )


def render(
    items: Sequence[Item],
    rows: Iterable[Row],
    folder: Path,
    space: LabelSpace,
    *,
    every: int,
    about: Mapping[str, Any],
) -> bool:
    """Draw rows into copies of the pictures and videos that they are about.

    A picture becomes a JPEG file and a video an MP4 file without sound, with the frames that were
    looked at. What cannot be read has no copy.

    Args:
        items: Pictures and videos.
        rows: Of them, in their order; see `rows`.
        folder: For the copies, under the paths below the folder that all items share.
        space: Of the categories.
        every: As when they were looked at.
        about: What the rows are of: copies of the same are not drawn again.

    Returns:
        Whether anything was drawn.
    """
    done, description = folder / _DONE, json.dumps(about, indent=2)
    if done.is_file() and done.read_text(encoding="utf-8") == description:
        return False
    names = _names(items)
    of_files = groupby(rows, lambda row: row["file"])
    for item, name, (_, members) in zip(items, names, of_files, strict=True):
        marks = _marks(members, space)
        draw = _draw_picture if item.kind == "picture" else _draw_video
        draw(item, marks, folder / name, every)
    write_atomic(done, description)
    return True


def _names(items: Sequence[Item]) -> list[str]:
    """Paths below the folder that all items share; never the same one twice."""
    places = [os.path.abspath(item.place) for item in items]  # noqa: PTH100 (no link is resolved)
    shared = os.path.commonpath([os.path.dirname(place) for place in places])  # noqa: PTH120
    names: dict[str, None] = {}
    for item, place in zip(items, places, strict=True):
        name, wanted = os.path.relpath(place, shared), ".jpg" if item.kind == "picture" else ".mp4"
        name = name if name.lower().endswith(wanted) else name + wanted
        while name in names:  # a.png beside a.png.jpg
            name += wanted
        names[name] = None
    return list(names)


def _marks(rows: Iterable[Row], space: LabelSpace) -> dict[int | None, list[Mark]]:
    """The marks of each frame of a file."""
    found: dict[int | None, list[Mark]] = {}
    for row in rows:
        if row["face"] is not None:
            found.setdefault(row["frame"], []).append(mark_of(row, space))
    return found


def _draw_picture(
    item: Item, marks: Mapping[int | None, list[Mark]], path: Path, every: int
) -> None:
    frame = next(read_frames(item))
    if frame.picture is not None:
        drawn = draw_marks(Image.fromarray(frame.picture), marks.get(None, []))
        with replacing(path) as part:
            drawn.save(part, "JPEG", quality=_QUALITY)


def _draw_video(item: Item, marks: Mapping[int | None, list[Mark]], path: Path, every: int) -> None:
    frames = (frame for frame in read_frames(item, every=every) if frame.picture is not None)
    if (first := next(frames, None)) is None:
        return
    assert first.picture is not None
    with replacing(path) as part, _video(part, first.picture) as encode:
        for frame in _chained(first, frames):
            assert frame.picture is not None
            drawn = draw_marks(Image.fromarray(frame.picture), marks.get(frame.number, []))
            encode(frame, np.asarray(drawn))


def _chained(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest


@contextmanager
def _video(path: Path, first: Picture) -> Iterator[Any]:
    """An MP4 file, and what adds a picture of the size of the first one to it."""
    av = of_extra("av", "render=true")
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=_FRAMES_PER_S)
        stream.height, stream.width = (side - side % 2 for side in first.shape[:2])
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _CLOCK)
        if codec == "libx264":
            stream.options = {"preset": "veryfast", "crf": "20"}
        last = -1

        def encode(frame: Frame, picture: Picture) -> None:
            nonlocal last
            shown = frame.number or 0, frame.time_s
            time_s = shown[0] / _FRAMES_PER_S if shown[1] is None else shown[1]
            last = max(last + 1, round(time_s * _CLOCK))  # they have to rise
            cut = np.ascontiguousarray(picture[: stream.height, : stream.width])
            encoded = av.VideoFrame.from_ndarray(cut, format="rgb24")
            encoded.pts, encoded.time_base = last, Fraction(1, _CLOCK)
            container.mux(stream.encode(encoded))

        yield encode
        container.mux(stream.encode())
