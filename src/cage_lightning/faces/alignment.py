"""From a face in a picture to the part of the picture that a network is shown.

The crops of AffectNet, which models are trained on, are face boxes cut out of the picture as it is:
they are not aligned, and so crops are not aligned here either unless it is asked for. How far a
crop reaches beyond the box is the margin that the model was trained with, which is the business of
whoever crops (`Crop`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image
from torch import Tensor

from cage_lightning.faces.face import Box, Face

Crop = Callable[[Image.Image, Sequence[float]], Tensor]
"""Makes uint8 ``[3, S, S]`` of a picture and a box in it, as the evaluation of a model does."""

_ROOM = 1.0  # of the box on each side, for its corners to turn in and for the margin


def crop_faces(
    picture: Image.Image, faces: Sequence[Face], crop: Crop, align: bool = False
) -> list[Tensor]:
    """The crops of the faces in a picture.

    Args:
        picture: RGB.
        faces: In it.
        crop: Cuts one out.
        align: Whether a face with landmarks is turned first, so that its eyes are level.
    """
    upright = [level_eyes(picture, face) if align else (picture, face.box) for face in faces]
    return [crop(turned, box) for turned, box in upright]


def level_eyes(picture: Image.Image, face: Face) -> tuple[Image.Image, Box]:
    """Turn a face about the middle of its box, so that its eyes are level.

    Args:
        picture: RGB.
        face: A face in it. Without landmarks, or with eyes that are level, nothing is turned.

    Returns:
        The surroundings of the face and its box there, which keeps its size. What the turning
        brings in from outside of the picture is black.
    """
    if face.landmarks is None or (angle := eye_angle(face)) == 0:
        return picture, face.box
    left, top, right, bottom = face.box
    dx, dy = _ROOM * face.width, _ROOM * face.height
    area = (
        max(0, math.floor(left - dx)),
        max(0, math.floor(top - dy)),
        min(picture.width, math.ceil(right + dx)),
        min(picture.height, math.ceil(bottom + dy)),
    )
    box = (left - area[0], top - area[1], right - area[0], bottom - area[1])
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    surroundings = picture.crop(area)
    return surroundings.rotate(angle, Image.Resampling.BILINEAR, center=middle), box


def eye_angle(face: Face) -> float:
    """The angle in degrees by which a face is tilted clockwise, in [-90, 90]; 0 without landmarks.

    More than a right angle is a mistake of the detector, whose first eye is the one on the left.
    """
    if face.landmarks is None:
        return 0.0
    (x0, y0), (x1, y1) = face.landmarks[:2]
    return math.degrees(math.atan2(y1 - y0, x1 - x0)) if x1 > x0 else 0.0
