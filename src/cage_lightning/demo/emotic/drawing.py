"""From a scene's number to its picture, its persons and their body boxes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from cage_lightning.demo.emotic.labels import (
    LATENT_MEAN,
    LATENT_SD,
    Person,
    draw_person,
)
from cage_lightning.demo.faces.geometry import Identity, Pose
from cage_lightning.demo.faces.head import Colour, Sketch, draw_head
from cage_lightning.demo.faces.labels import ActionUnits
from cage_lightning.errors import ConfigError
from cage_lightning.labels import EMOTIC

DRAWING_VERSION = 1
"""Raise it whenever the same seed gives other pictures or labels than before."""

SPLIT_IDS = {"train": 0, "val": 1, "test": 2}

_PERSONS = (0.62, 0.25, 0.08, 0.03, 0.02)  # chance of one to five persons
_WIDTHS, _HEIGHTS = (224, 320), (192, 300)
_SUPERSAMPLING = 2  # Pillow draws without anti-aliasing

# The scene of the lowest and of the highest valence: sky and ground.
_GLOOMY = np.array([[62, 66, 92], [40, 42, 52]])
_BRIGHT = np.array([[255, 214, 130], [120, 190, 90]])
_TROUSERS: tuple[Colour, ...] = ((40, 45, 70), (60, 60, 60), (95, 75, 55), (30, 60, 90))
_HAND: Colour = (205, 150, 110)
_MOTION: Colour = (250, 250, 250)

_HEAD = 0.42  # its share of a person's height: large, so that a small crop still shows the face
_OVERHANGING = 0.01
_GREYSCALE = 0.02

Point = tuple[float, float]
Box = tuple[int, int, int, int]


class Scene(NamedTuple):
    """One drawn picture and whom it shows.

    Attributes:
        image: uint8 ``[H, W, 3]``, RGB; ``[H, W]`` in a few scenes that are stored as greyscale.
        persons: From left to right.
        boxes: Left, top, right, bottom edge of each person's body; a few reach over the picture.
        jpeg_quality: The quality to store the picture with.
    """

    image: npt.NDArray[np.uint8]
    persons: tuple[Person, ...]
    boxes: tuple[Box, ...]
    jpeg_quality: int


class Posture(NamedTuple):
    """How a body is held. Lengths as shares of its height, angles in radians.

    Attributes:
        shoulder: Half the width of the shoulders.
        hip: Half the width of the hips.
        stance: Angle of a leg, from straight down to the side.
        spread: Angle of an upper arm, likewise.
        bend: Angle of a forearm upwards from the upper arm.
        strokes: Motion lines on each side.
    """

    shoulder: float
    hip: float
    stance: float
    spread: float
    bend: float
    strokes: int

    @classmethod
    def of(cls, arousal: float, dominance: float) -> Posture:
        """Arousal and dominance in standard deviations from their means."""
        return cls(
            shoulder=0.115 + 0.03 * dominance,
            hip=0.075 + 0.012 * dominance,
            stance=math.radians(min(max(9 + 8 * arousal, 2), 32)),
            spread=math.radians(min(max(38 + 20 * dominance, 6), 88)),
            bend=math.radians(min(max(50 + 42 * arousal, 0), 150)),
            strokes=round(min(max(1.2 + 1.3 * arousal, 0), 4)),
        )


def expression(z: npt.NDArray[np.float64]) -> ActionUnits:
    """The face that goes with ``[3]`` valence, arousal, dominance in standard deviations."""
    valence, arousal, dominance = (z / 2).tolist()
    joy, gloom = max(valence, 0.0), max(-valence, 0.0)
    return ActionUnits(
        smile=0.9 * valence,
        open=0.1 + 0.45 * arousal,
        width=0.3 * joy,
        asym=0.0,
        uplip=0.3 * gloom,
        wrinkle=0.3 * gloom,
        teeth=0.7 * joy,
        brow_in=0.2 * arousal,
        brow_out=0.5 * arousal,
        squeeze=0.8 * gloom,
        eye=0.7 * arousal,
        cheek=0.8 * joy,
        gaze_down=-0.3 * dominance,
        pitch=0.3 * dominance,
        lid_droop=-0.5 * arousal,
    )


def draw_scene(seed: int, split: str, index: int) -> Scene:
    """Draw one scene. It depends on the arguments only, not on scenes drawn before.

    Valence shows in the face and in the colours of the scene (those of the mean of its persons),
    arousal in the eyes, the bent limbs and the motion lines, dominance in the width of the body and
    the spread of the arms.

    Args:
        seed: Seed of the dataset, not negative.
        split: "train", "val" or "test".
        index: Position in the split, not negative. To the first person of each of the first 26
            scenes the category of that number applies, so that every split has them all.

    Raises:
        ConfigError: `split` does not exist.
    """
    if split not in SPLIT_IDS:
        raise ConfigError(f"demo EMOTIC has no split {split!r}: use one of {list(SPLIT_IDS)}")
    rng = np.random.default_rng(np.random.SeedSequence([seed, SPLIT_IDS[split], index]))
    count = 1 + int(rng.choice(len(_PERSONS), p=_PERSONS))
    required = index if index < len(EMOTIC.categories) else None
    persons = [draw_person(rng, split, required if i == 0 else None) for i in range(count)]

    width, height = int(rng.integers(*_WIDTHS)), int(rng.integers(*_HEIGHTS))
    zs = [np.clip((person.latent - LATENT_MEAN) / LATENT_SD, -2.5, 2.5) for person in persons]
    picture = _background(rng, width, height, float(np.mean([z[0] for z in zs])))
    slot = width / count
    boxes = []
    for i, z in enumerate(zs):
        tall = height * rng.uniform(0.68, 0.94)
        if count > 1:
            tall = min(tall, 1.9 * slot)
        foot = ((i + rng.uniform(0.44, 0.56)) * slot, height * rng.uniform(0.95, 0.99))
        drawn = _draw_person(picture, rng, z, foot, tall)
        boxes.append(_annotated_box(rng, drawn, width, height))
    image = _photograph(rng, picture.reduce(_SUPERSAMPLING))
    return Scene(image, tuple(persons), tuple(boxes), int(rng.integers(70, 96)))


def _background(rng: np.random.Generator, width: int, height: int, valence: float) -> Image.Image:
    """Sky and ground whose colours follow the valence, and a few houses."""
    share = min(max(0.5 + 0.22 * valence, 0.0), 1.0)
    colours = _GLOOMY + share * (_BRIGHT - _GLOOMY)
    sky, ground = (0.75 * colours + 0.25 * rng.integers(20, 236, (2, 3))).astype(int).tolist()
    full = (width * _SUPERSAMPLING, height * _SUPERSAMPLING)
    picture = Image.new("RGB", full, tuple(sky))
    draw = ImageDraw.Draw(picture)
    horizon = full[1] * rng.uniform(0.5, 0.8)
    for _ in range(int(rng.integers(0, 5))):
        left, house = full[0] * rng.uniform(-0.1, 0.9), full[0] * rng.uniform(0.1, 0.3)
        roof = horizon - full[1] * rng.uniform(0.05, 0.35)
        wall = tuple((np.array(sky) * rng.uniform(0.6, 0.95)).astype(int).tolist())
        draw.rectangle((left, roof, left + house, horizon), fill=wall)
    draw.rectangle((0, horizon, *full), fill=tuple(ground))
    return picture


def _draw_person(
    picture: Image.Image,
    rng: np.random.Generator,
    z: npt.NDArray[np.float64],
    foot: Point,
    tall: float,
) -> tuple[float, float, float, float]:
    """Draw a person and return the edges of what was drawn.

    Args:
        picture: The enlarged picture.
        rng: Clothes, identity and small deviations.
        z: Valence, arousal and dominance in standard deviations from their means.
        foot: Where the person stands, in pixels of the final picture, as is the result.
        tall: Height of the person there.
    """
    _, arousal, dominance = (z + rng.normal(0.0, 0.15, 3)).tolist()
    figure = _Figure(picture, foot, tall)
    shirt: Colour = tuple(rng.integers(30, 226, 3).tolist())
    trousers = _TROUSERS[int(rng.integers(len(_TROUSERS)))]

    shoulder, hip, stance, spread, bend, strokes = Posture.of(arousal, dominance)
    for side in (-1, 1):
        leg = _towards((side * 0.7 * hip, 0.30), stance, 0.27, side)
        figure.line([(side * 0.7 * hip, 0.32), leg, (leg[0] + side * 0.04, leg[1])], trousers, 0.06)
    figure.polygon([(-shoulder, 0.57), (shoulder, 0.57), (hip, 0.28), (-hip, 0.28)], shirt)
    for side in (-1, 1):
        elbow = _towards((side * shoulder, 0.55), spread, 0.15, side)
        hand = _towards(elbow, spread + bend, 0.15, side)
        figure.line([(side * shoulder, 0.55), elbow, hand], shirt, 0.055)
        figure.disc(hand, 0.035, _HAND)
        for stroke in range(strokes):
            start = (side * (0.24 + 0.035 * stroke), 0.34 + 0.02 * stroke)
            figure.line([start, (start[0] + side * 0.02, start[1] - 0.14)], _MOTION, 0.012)
    _draw_face(figure, rng, z)
    return figure.edges()


class _Figure:
    """Draws in units of a person's height: x from the middle, y up from the feet."""

    def __init__(self, picture: Image.Image, foot: Point, tall: float) -> None:
        self.picture = picture
        self._draw = ImageDraw.Draw(picture)
        self._foot = (foot[0] * _SUPERSAMPLING, foot[1] * _SUPERSAMPLING)
        self._unit = tall * _SUPERSAMPLING
        self._reach: list[Point] = []

    def polygon(self, points: list[Point], colour: Colour) -> None:
        self._draw.polygon(self._place(points, 0), fill=colour)

    def line(self, points: list[Point], colour: Colour, width: float) -> None:
        pixels = max(2, round(width * self._unit))
        self._draw.line(self._place(points, width / 2), fill=colour, width=pixels, joint="curve")

    def disc(self, middle: Point, radius: float, colour: Colour) -> None:
        (x, y), r = self._place([middle], radius)[0], radius * self._unit
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def paste(self, tile: Image.Image, top: float) -> None:
        """Put a tile, transparent where nothing is, with its upper edge in the middle at `top`."""
        ((x, y),) = self._place([(0.0, top)], 0)
        self.picture.paste(tile, (round(x - tile.width / 2), round(y)), tile)
        left, upper, right, lower = tile.getbbox() or (0, 0, 0, 0)
        x -= tile.width / 2
        self._reach += [(x + left, y + upper), (x + right, y + lower)]

    def pixels(self, length: float) -> int:
        return round(length * self._unit)

    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of all that was drawn, in pixels of the final picture."""
        x, y = np.array(self._reach).T / _SUPERSAMPLING
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    def _place(self, points: list[Point], around: float) -> list[Point]:
        placed = [
            (self._foot[0] + x * self._unit, self._foot[1] - y * self._unit) for x, y in points
        ]
        reach = around * self._unit
        self._reach += [(x + s * reach, y + s * reach) for x, y in placed for s in (-1, 1)]
        return placed


def _towards(start: Point, angle: float, length: float, side: int) -> Point:
    """The point `length` away, at an angle that opens from straight down to the given side."""
    return start[0] + side * length * math.sin(angle), start[1] - length * math.cos(angle)


def _draw_face(figure: _Figure, rng: np.random.Generator, z: npt.NDArray[np.float64]) -> None:
    pattern = expression(z)
    noisy = np.array(pattern) + rng.normal(0.0, 0.07, len(pattern))
    units = ActionUnits(*np.clip(noisy, -1.1, 1.1).tolist())
    identity = Identity.draw(rng)
    tile = Image.new("RGBA", (figure.pixels(_HEAD),) * 2)
    sketch = Sketch(tile, Pose.draw(rng, identity, units, hard=0.5))
    draw_head(sketch, rng, identity, units, float(z[1] / 2))
    figure.paste(tile, top=1.0)


def _annotated_box(
    rng: np.random.Generator, drawn: tuple[float, float, float, float], width: int, height: int
) -> Box:
    """A box as an annotator draws it: whole pixels, not quite tight, now and then out of bounds."""
    left, top, right, bottom = (np.array(drawn) + rng.normal(0.0, 1.5, 4)).round().tolist()
    left, right = max(left, 0), min(right, width)
    if rng.random() < _OVERHANGING:
        left, right = -rng.integers(3, 20), width + rng.integers(3, 20)
    return int(left), max(int(top), 0), int(right), min(int(bottom), height)


def _photograph(rng: np.random.Generator, picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Light and sensor noise; in a few pictures loss of colour."""
    if rng.random() < _GREYSCALE:
        picture = picture.convert("L")
    pixels = np.asarray(picture)
    gain = rng.uniform(0.85, 1.15)
    noise = rng.integers(-6, 7, pixels.shape, dtype=np.int8)
    lit = np.minimum(np.arange(256) * gain, 255).astype(np.int16)[pixels]
    noisy: npt.NDArray[np.uint8] = np.clip(lit + noise, 0, 255).astype(np.uint8)
    return noisy
