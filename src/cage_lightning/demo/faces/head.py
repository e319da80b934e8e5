"""A head on a picture: hair, skin, eyes, brows, nose and mouth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from cage_lightning.demo.faces import geometry
from cage_lightning.demo.faces.geometry import CANVAS, SIDES, Identity, Points, Pose
from cage_lightning.demo.faces.labels import ActionUnits

Colour = tuple[int, int, int]

_SKINS = (
    (255, 224, 196),
    (241, 194, 155),
    (224, 172, 125),
    (198, 134, 88),
    (141, 85, 48),
    (90, 56, 37),
)
_HAIRS = (
    (20, 16, 14),
    (70, 45, 25),
    (120, 80, 40),
    (200, 170, 90),
    (150, 60, 30),
    (130, 130, 130),
)
_IRISES = ((70, 45, 25), (50, 90, 140), (70, 110, 60), (90, 90, 100))
_EYE_WHITE = (245, 243, 240)
_PUPIL = (10, 10, 12)
_LASHES = (35, 25, 22)
_CAVITY = (70, 15, 20)
_TEETH = (245, 242, 232)
_GLASSES = (30, 30, 35)

_TURN = np.linspace(0, 2 * np.pi, 32, endpoint=False)
_LOWER_ARC = np.radians([20, 55, 90, 125, 160])
_UPPER_ARC = np.radians([180, 210, 240, 270, 300, 330, 360])
_FRINGE = np.radians(np.linspace(205, 335, 12))
_MOUTH = np.linspace(-1, 1, 15)


class Sketch:
    """A square picture, its canvas coordinates, and the head's pose on it."""

    def __init__(self, picture: Image.Image, pose: Pose) -> None:
        self._zoom = picture.width / CANVAS
        self._draw = ImageDraw.Draw(picture)
        self.pose = pose

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fill a polygon given in face coordinates."""
        self._draw.polygon(self._to_picture(points), fill=colour)

    def line(
        self, points: Points | Sequence[tuple[float, float]], colour: Colour, width: float
    ) -> None:
        """Draw a line through face coordinates, `width` canvas pixels wide."""
        pixels = max(1, round(width * self._zoom))
        self._draw.line(self._to_picture(points), fill=colour, width=pixels, joint="curve")

    def _to_picture(self, points: Points | Sequence[tuple[float, float]]) -> list[float]:
        placed = self.pose.place(np.asarray(points, dtype=np.float64))
        flat: list[float] = (placed * self._zoom).ravel().tolist()
        return flat


def draw_head(
    sketch: Sketch,
    rng: np.random.Generator,
    identity: Identity,
    units: ActionUnits,
    arousal: float,
) -> None:
    """Draw a whole head; `rng` picks its colours and arousal widens the pupils."""
    skin = _tint(_pick(rng, _SKINS), rng.uniform(0.92, 1.05))
    hair, iris = _pick(rng, _HAIRS), _pick(rng, _IRISES)
    shade = _tint(skin, 0.72)
    _draw_skull(sketch, identity, skin, shade, hair)
    _draw_nose(sketch, identity, units, shade)
    for side in SIDES:
        _draw_eye(sketch, identity, units, side, iris, 0.20 + 0.09 * max(arousal, 0.0))
        if units.cheek > 0.3:
            half_width, half_height = geometry.eye_half_axes(identity, units)
            x, y = geometry.eye_middle(identity, side)
            bag = geometry.ellipse((x, y + 3), half_width, half_height + 4, _LOWER_ARC)
            sketch.line(bag, shade, 3)
        brow = geometry.brow(identity, units, side)
        sketch.line(brow, _tint(hair, 0.7), identity.brow_thickness)
        if units.squeeze > 0.35:
            sketch.line([(side * 4, -44), (side * 4, -30)], shade, 3)
        if units.uplip > 0.4 or units.smile > 0.5:
            fold_end = (side * (identity.mouth_width + 8), 42)
            sketch.line([(side * 14, 22), fold_end], shade, 3)
    _draw_mouth(sketch, identity, units, skin)


def draw_glasses(sketch: Sketch, identity: Identity) -> None:
    """Draw a dark frame around both eyes."""
    radius = identity.eye_offset - 6
    for side in SIDES:
        rim = geometry.ellipse(geometry.eye_middle(identity, side), radius, 0.8 * radius, _TURN)
        sketch.line(np.concatenate([rim, rim[:1]]), _GLASSES, 4)
    sketch.line([(-6, -18), (6, -18)], _GLASSES, 4)


def _draw_skull(
    sketch: Sketch, identity: Identity, skin: Colour, shade: Colour, hair: Colour
) -> None:
    width, height = identity.head_width, identity.head_height
    hair_middle, hair_half = (-0.45 * height - 16) / 2, (1.55 * height + 16) / 2
    sketch.polygon(geometry.ellipse((0, hair_middle), width + 10, hair_half, _TURN), hair)
    top, bottom = 0.6 * height, 2 * height
    sketch.polygon(np.array([(-28, top), (28, top), (28, bottom), (-28, bottom)]), shade)
    sketch.polygon(geometry.ellipse((0, 0), width, height, _TURN), skin)
    fringe_middle, fringe_half = (-0.8 * height - 8) / 2, (1.2 * height + 8) / 2
    sketch.polygon(geometry.ellipse((0, fringe_middle), width, fringe_half, _FRINGE), hair)


def _draw_eye(
    sketch: Sketch, identity: Identity, units: ActionUnits, side: int, iris: Colour, pupil: float
) -> None:
    middle = geometry.eye_middle(identity, side)
    half_width, half_height = geometry.eye_half_axes(identity, units)
    sketch.polygon(geometry.ellipse(middle, half_width, half_height, _TURN), _EYE_WHITE)
    gaze = (middle[0] + 8 * sketch.pose.yaw, middle[1] + 4 * units.gaze_down)
    for radius, colour in ((0.52, iris), (pupil, _PUPIL)):
        disc = geometry.ellipse(gaze, radius * identity.eye_size, radius * identity.eye_size, _TURN)
        # Cut to the opening of the lids.
        across = np.clip((disc[:, 0] - middle[0]) / half_width, -1, 1)
        opening = half_height * np.sqrt(1 - across**2)
        disc[:, 1] = np.clip(disc[:, 1], middle[1] - opening, middle[1] + opening)
        sketch.polygon(disc, colour)
    sketch.line(geometry.ellipse(middle, half_width, half_height, _UPPER_ARC), _LASHES, 3)


def _draw_nose(sketch: Sketch, identity: Identity, units: ActionUnits, shade: Colour) -> None:
    tip = geometry.nose_tip(identity)
    base = tip + geometry.NOSE_BASE
    sketch.line([(-2, -14), (0, tip)], shade, 3)
    sketch.line([(-7, tip), (0, base), (7, tip)], shade, 3)
    if units.wrinkle > 0.3:
        for y in (-6, 0):
            sketch.line([(-9, y), (9, y)], shade, 3)


def _draw_mouth(sketch: Sketch, identity: Identity, units: ActionUnits, skin: Colour) -> None:
    upper, lower = geometry.lips(identity, units, _MOUTH)
    lip = (round(0.78 * skin[0]), round(0.45 * skin[1]), round(0.45 * skin[2]))
    is_open = 26 * units.open > 3
    if is_open:
        sketch.polygon(np.concatenate([upper, lower[::-1]]), _CAVITY)
        if units.teeth > 0.3:
            edge = upper + np.array([0, 5 + 4 * units.teeth])
            edge[:, 1] = np.minimum(edge[:, 1], lower[:, 1])
            sketch.polygon(np.concatenate([upper, edge[::-1]]), _TEETH)
    sketch.line(lower, lip, 6)
    sketch.line(upper, lip, 5)
    if not is_open:
        sketch.line((upper + lower) / 2, _CAVITY, 2)


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _tint(colour: Colour, gain: float) -> Colour:
    red, green, blue = (min(255, round(gain * channel)) for channel in colour)
    return red, green, blue
