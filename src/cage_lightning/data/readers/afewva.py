"""AFEW-VA: frames of film clips with valence and arousal from -10 to 10.

Kossaifi, Tzimiropoulos, Todorovic and Pantic 2017, "AFEW-VA database for valence and arousal
estimation in-the-wild". It has no splits of its own.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cage_lightning.data.files import no_release, read_file, refuse_outside
from cage_lightning.data.formats import is_picture
from cage_lightning.data.readers.samples import Samples
from cage_lightning.errors import DataError

DIMENSIONS = ("valence", "arousal")
RANGE = (-10.0, 10.0)
POINTS = 68
LAYOUTS = {"clips": "    [.../]{clip}/{clip}.json\n    [.../]{clip}/00000.png, 00001.png, ..."}
DEEPEST = 3  # folders between the root and the file of a clip

logger = logging.getLogger(__name__)


class Frame(NamedTuple):
    """A frame as its clip describes it, and what of that cannot be."""

    clip: Path
    name: str
    picture: str
    actor: str
    affect: tuple[float, ...]
    box: tuple[float, ...]
    wrong: tuple[tuple[str, str, str], ...]


def read_afewva(root: Path) -> Samples:
    """Read all frames of all clips.

    Args:
        root: Folder that holds the clips, at most two folders down.

    Returns:
        The samples by clip and frame. The box goes round the 68 landmarks: from the brows to the
        chin. Groups are ``video``, the clip, and ``person``, the actor, if every clip tells.

    Raises:
        DataError: There are no clips; the file of one is no description of frames, or is a link to
            a file outside `root`.
    """
    clips = [
        path
        for depth in range(1, DEEPEST + 1)
        for path in root.glob("/".join(["[!.]*"] * depth) + "/[!.]*.json")
        if path.stem == path.parent.name
    ]
    if not clips:
        raise no_release("AFEW-VA", "train", root, LAYOUTS)
    logger.info("AFEW-VA: reading %d clips below %s", len(clips), root)
    frames = [
        frame for clip in sorted(clips, key=lambda c: c.stem) for frame in _frames(root, clip)
    ]
    groups = {"video": [frame.clip.stem for frame in frames]}
    if all(frame.actor for frame in frames):
        groups["person"] = [frame.actor for frame in frames]
    samples = Samples(
        root=root,
        origin=str(root),
        file=[frame.clip for frame in frames],
        place=[f"frame {frame.name}" for frame in frames],
        picture=[frame.picture for frame in frames],
        id=[f"{frame.clip.stem}/{frame.name}" for frame in frames],
        split=[""] * len(frames),
        names=[()] * len(frames),
        affect=np.array([frame.affect for frame in frames]).reshape(-1, len(DIMENSIONS)),
        dimensions=DIMENSIONS,
        box=np.array([frame.box for frame in frames]).reshape(-1, 4),
        groups=groups,
        columns={name: name for name in (*DIMENSIONS, "landmarks")},
    )
    for row, frame in enumerate(frames):
        for column, value, problem in frame.wrong:
            samples.refuse(row, column, value, problem)
    return samples


def _frames(root: Path, clip: Path) -> Iterator[Frame]:
    """The frames of a clip."""
    refuse_outside(root, clip.relative_to(root).as_posix(), str(clip))
    try:
        content = json.loads(read_file(clip))
        frames = sorted(content["frames"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{clip}: {type(error).__name__}: {error}; expected the frames of a clip, each with "
            "landmarks, valence and arousal"
        ) from error
    actor = content.get("actor")
    files = {path.stem: path for path in clip.parent.iterdir() if is_picture(path.name)}
    for name, about in frames:
        wrong: list[tuple[str, str, str]] = []
        picture = files.get(name, clip.with_name(f"{name}.png"))
        yield Frame(
            clip,
            name,
            picture.relative_to(root).as_posix(),
            actor.strip() if isinstance(actor, str) else "",
            tuple(_affect(about, dimension, wrong) for dimension in DIMENSIONS),
            _box(about, wrong),
            tuple(wrong),
        )


def _affect(about: Any, dimension: str, wrong: list[tuple[str, str, str]]) -> float:
    value = about.get(dimension) if isinstance(about, dict) else None
    low, high = RANGE
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    wrong.append((dimension, str(value), f"is no number from {low:g} to {high:g}"))
    return math.nan


def _box(about: Any, wrong: list[tuple[str, str, str]]) -> tuple[float, ...]:
    """The box round the landmarks; one that is none would be refused for each such frame."""
    value = about.get("landmarks") if isinstance(about, dict) else None
    try:
        points = np.array(value, np.float64)
        if points.shape == (POINTS, 2) and np.isfinite(points).all():
            box = (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
            if box[0] < box[2] and box[1] < box[3]:
                return box
    except (ValueError, TypeError, OverflowError):
        pass
    wrong.append(("landmarks", str(value), f"are not {POINTS} points, [[x, y], ...]"))
    return (0.0, 0.0, 1.0, 1.0)
