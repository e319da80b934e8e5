"""The text files of Aff-Wild2: a header, then a line for each frame of a video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import DataError
from cage_lightning.labels import canonical_category

Lists = Mapping[str, Mapping[str, Path]]
"""Kind of list, ``va`` or ``expr`` -> video -> its file."""

# The competition's order. Other is a category of its own, not contempt.
CATEGORIES = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")
DIMENSIONS = ("valence", "arousal")
NOT_ANNOTATED = -5.0
NO_EXPRESSION = -1


class Video(NamedTuple):
    """The annotations of the frames of a video; frame ``n`` is number ``n - 1``.

    Attributes:
        name: With ``_left`` or ``_right`` where two persons are annotated.
        category: int64 ``[N]``, -1 where not annotated.
        affect: float32 ``[N, 2]``, NaN where not annotated.
    """

    name: str
    category: npt.NDArray[np.int64]
    affect: npt.NDArray[np.float32]

    @property
    def annotated(self) -> npt.NDArray[np.bool_]:
        """Which frames have any label."""
        known: npt.NDArray[np.bool_] = (self.category >= 0) | ~np.isnan(self.affect).all(axis=1)
        return known


def read_videos(lists: Lists) -> list[Video]:
    """The videos of a split by name, with what either list says of their frames."""
    names = sorted({name for videos in lists.values() for name in videos})
    return [
        _video(name, {kind: videos.get(name) for kind, videos in lists.items()}) for name in names
    ]


def _video(name: str, lists: Mapping[str, Path | None]) -> Video:
    va, expr = lists.get("va"), lists.get("expr")
    affect = np.empty((0, 2)) if va is None else _affect(va)
    category = np.empty(0) if expr is None else _expressions(expr)
    length = max(len(affect), len(category))
    return Video(
        name,
        np.pad(category, (0, length - len(category)), constant_values=-1).astype(np.int64),
        np.pad(affect, ((0, length - len(affect)), (0, 0)), constant_values=np.nan).astype(
            np.float32
        ),
    )


def _affect(source: Path) -> npt.NDArray[np.float64]:
    header, lines = _lines(source)
    if [name.strip().casefold() for name in header.split(",")] != list(DIMENSIONS):
        raise DataError(f"{source}, line 1: {header!r}, expected {','.join(DIMENSIONS)}")
    values = np.full((len(lines), 2), np.nan)
    for row, line in enumerate(lines):
        try:
            valence, arousal = map(float, line.split(","))
            if NOT_ANNOTATED not in (valence, arousal):
                values[row] = valence, arousal
                if not (abs(valence) <= 1 and abs(arousal) <= 1):
                    raise ValueError
        except ValueError:
            raise DataError(
                f"{source}, line {row + 2}: {line!r}, expected valence and arousal in [-1, 1], or "
                f"{NOT_ANNOTATED:g} where they are not annotated"
            ) from None
    return values


def _expressions(source: Path) -> npt.NDArray[np.int64]:
    header, lines = _lines(source)
    names = [canonical_category(name) or name.strip().capitalize() for name in header.split(",")]
    if tuple(names) != CATEGORIES[: len(names)] or len(names) < len(CATEGORIES) - 1:
        raise DataError(f"{source}, line 1: {header!r}, expected {','.join(CATEGORIES)}")
    codes = {str(code): code for code in range(NO_EXPRESSION, len(names))}
    for row, line in enumerate(lines):
        if line not in codes:
            raise DataError(
                f"{source}, line {row + 2}: {line!r}, expected a code from 0 to {len(names) - 1}, "
                f"or {NO_EXPRESSION} where none is annotated"
            )
    return np.array([codes[line] for line in lines], np.int64)


def _lines(source: Path) -> tuple[str, list[str]]:
    """The header and the lines of the frames, without blanks around them."""
    text = source.read_text(encoding="utf-8-sig", errors="replace").rstrip()
    header, *lines = [line.strip() for line in text.split("\n")]
    return header, lines
