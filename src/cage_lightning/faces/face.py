"""What a detector finds, and what every detector offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import ConfigError, first_line
from cage_lightning.system.extras import import_extra

Picture = npt.NDArray[np.uint8]
"""``[H, W, 3]``, RGB."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge in pixels."""

SMALLEST_BOX = 2.0
"""Width and height in pixels that a box has at least, so that it holds a whole pixel."""

Point = tuple[float, float]
"""x and y in pixels."""


@dataclass(frozen=True)
class Face:
    """A face, or another part of a picture that is looked at like one.

    Attributes:
        box: Its box, inside the picture.
        score: The detector's, on its own scale; None where nothing was detected.
        landmarks: The eye on the left of the picture, the other eye, the tip of the nose and the
            two corners of the mouth, left first; None where the detector tells none.
    """

    box: Box
    score: float | None = None
    landmarks: tuple[Point, ...] | None = None

    @property
    def width(self) -> float:
        """In pixels."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        """In pixels."""
        return self.box[3] - self.box[1]


Faces = tuple[Face, ...]
"""Those of one picture, the largest first."""


class Detector(Protocol):
    """Finds the faces in pictures."""

    def detect(self, pictures: Sequence[Picture]) -> list[Faces]:
        """The faces of each picture."""
        ...


def overlap(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Intersection over union of boxes ``[..., 4]`` and ``[..., 4]`` that broadcast; in [0, 1]."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = _area(first) + _area(second) - shared
    share: npt.NDArray[np.float64] = shared / np.maximum(union, np.finfo(np.float64).tiny)
    return share


def _area(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    sides = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None)
    area: npt.NDArray[np.float64] = np.prod(sides, axis=-1)
    return area


def sorted_faces(faces: Sequence[Face], picture: Picture, smallest: float) -> Faces:
    """The faces inside a picture, the largest first.

    Args:
        faces: As a detector gives them: a box may reach over the edge of the picture.
        picture: The picture.
        smallest: Those whose box is narrower or lower than this many pixels are left out.
    """
    height, width = picture.shape[:2]
    inside = [
        Face(_clipped(face.box, width, height), face.score, face.landmarks)
        for face in faces
        if np.isfinite(face.box).all()
    ]
    large = [face for face in inside if min(face.width, face.height) >= max(smallest, SMALLEST_BOX)]
    return tuple(sorted(large, key=lambda face: (-face.width * face.height, face.box)))


def _clipped(box: Box, width: int, height: int) -> Box:
    left, top, right, bottom = (float(edge) for edge in box)
    return (max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom))


def of_extra(module: str, purpose: str) -> ModuleType:
    """A module of the extra ``faces``.

    Args:
        module: Its name.
        purpose: The setting that needs it, for the message.

    Raises:
        ConfigError: It is not installed, or does not load.
    """
    try:
        return import_extra(module)
    except ImportError as error:
        raise ConfigError(
            f"{purpose} needs the package {module} ({first_line(error)}): "
            "pip install 'cage-lightning[faces]'"
        ) from error
