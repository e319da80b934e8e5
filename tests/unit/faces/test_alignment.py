"""Crops: those of the evaluation, and turned by the eyes where that is asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.faces.alignment import crop_faces, eye_angle, level_eyes
from cage_lightning.faces.face import Face

MIDDLE, RADIUS = (120.0, 90.0), 20.0


def tilted(degrees: float) -> tuple[Image.Image, Face]:
    """A picture with a red and a blue eye, tilted clockwise about the middle of the face."""
    picture = Image.new("RGB", (240, 200), "white")
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    eyes = [(MIDDLE[0] + side * RADIUS * cos, MIDDLE[1] + side * RADIUS * sin) for side in (-1, 1)]
    for (x, y), colour in zip(eyes, ("red", "blue"), strict=True):
        ImageDraw.Draw(picture).ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
    x, y = MIDDLE
    return picture, Face((x - 40, y - 40, x + 40, y + 40), 1.0, (*eyes, MIDDLE, MIDDLE, MIDDLE))


def middle_of(picture: Image.Image, channel: int) -> tuple[float, float]:
    """Of what has no white or black in it but this channel."""
    pixels = np.asarray(picture).astype(int)
    rows, columns = np.nonzero(pixels[..., channel] - pixels[..., 2 - channel] > 128)
    return float(columns.mean()), float(rows.mean())


@pytest.mark.parametrize("degrees", [-60, -10, 25, 80])
def test_the_eyes_are_level_and_where_they_were(degrees: float) -> None:
    picture, face = tilted(degrees)
    assert eye_angle(face) == pytest.approx(degrees)
    turned, box = level_eyes(picture, face)
    red, blue = middle_of(turned, 0), middle_of(turned, 2)
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    assert red == pytest.approx((middle[0] - RADIUS, middle[1]), abs=1.2)
    assert blue == pytest.approx((middle[0] + RADIUS, middle[1]), abs=1.2)
    assert (box[2] - box[0], box[3] - box[1]) == (80, 80)


def test_crops_are_those_of_the_evaluation_unless_they_are_to_be_aligned() -> None:
    picture, face = tilted(25)
    preprocessing = Preprocessing(64, margin=0.25)
    (plain,) = crop_faces(picture, [face], preprocessing.crop)
    assert plain.equal(preprocessing.crop(picture, face.box))
    (aligned,) = crop_faces(picture, [face], preprocessing.crop, align=True)
    assert not aligned.equal(plain)
    unknown = Face(face.box)
    (without,) = crop_faces(picture, [unknown], preprocessing.crop, align=True)
    assert without.equal(plain)


def test_a_face_on_its_head_is_left_alone() -> None:
    picture, face = tilted(170)
    assert eye_angle(face) == 0
    assert level_eyes(picture, face) == (picture, face.box)
