"""From action units to curves and landmarks.

Lengths are pixels of a 256 x 256 canvas. Face coordinates have their origin in the middle of the
face, x to the right of the picture and y down; `Pose.place` takes them to the canvas.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cage_lightning.demo.faces.labels import ActionUnits

CANVAS = 256
SIDES = (-1, 1)  # left and right in the picture
NOSE_BASE = 4.0  # below the tip

Points = NDArray[np.float64]
"""``[N, 2]``, x and y."""

_MARGIN = 1.0  # landmarks stay this far inside the picture


class Identity(NamedTuple):
    """The measures of a person, independent of the label."""

    head_width: float
    """Half-axis, like `head_height`."""
    head_height: float
    eye_offset: float
    """From the middle of the face to the middle of an eye."""
    eye_size: float
    brow_thickness: float
    mouth_width: float
    """Half the width of the closed mouth."""
    nose_length: float
    smirk_side: int
    """The lip corner that `ActionUnits.asym` lifts; random, so a flipped face keeps its label."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Identity:
        """A random person."""
        lowest = (72, 92, 28, 11, 4, 24, 20)
        highest = (88, 108, 35, 15, 8, 32, 30)
        measures = rng.uniform(lowest, highest).tolist()
        return cls._make([*measures, int(rng.choice(SIDES))])


class Pose(NamedTuple):
    """How the head is turned and where it lies on the canvas. Angles in radians."""

    yaw: float
    pitch: float
    """Relative to the camera, the pitch of the expression included; positive is up."""
    roll: float
    scale: float
    shift: tuple[float, float]
    head_width: float
    head_height: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, identity: Identity, units: ActionUnits, hard: float
    ) -> Pose:
        """A random pose; at `hard` 0 only the pitch of the expression is left.

        The shift is limited such that every landmark lies in the picture, as it does in pictures
        that were cropped around a detected face.
        """
        sd = hard * np.array([0.22, 0.12, math.radians(7), 0.06, 6, 6])
        yaw, pitch, roll, scale, shift_x, shift_y = (sd * rng.standard_normal(6)).tolist()
        pose = cls(
            yaw=min(max(yaw, -0.6), 0.6),
            pitch=min(max(pitch, -0.35), 0.35) + 0.25 * units.pitch,
            roll=roll,
            scale=1 + scale,
            shift=(0.0, 0.0),
            head_width=identity.head_width,
            head_height=identity.head_height,
        )
        points = pose.place(landmarks(identity, units))
        low, high = _MARGIN - points.min(axis=0), CANVAS - _MARGIN - points.max(axis=0)
        limited = np.clip((shift_x, shift_y), low, high).tolist()
        return pose._replace(shift=(limited[0], limited[1]))

    def place(self, points: Points) -> Points:
        """Face coordinates ``[N, 2]`` to canvas coordinates ``[N, 2]``.

        Turning moves the middle of the face more than its rim, as on a curved surface.
        """
        x, y = points[:, 0], points[:, 1]
        bulge_x = 1 - 0.6 * (x / self.head_width) ** 2
        bulge_y = 1 - 0.5 * (y / self.head_height) ** 2
        x = x * math.cos(0.9 * self.yaw) + 34 * self.yaw * bulge_x
        y = y - 30 * self.pitch * bulge_y
        cos, sin = self.scale * math.cos(self.roll), self.scale * math.sin(self.roll)
        middle_x, middle_y = CANVAS / 2 + self.shift[0], CANVAS / 2 + self.shift[1]
        return np.stack([middle_x + cos * x - sin * y, middle_y + sin * x + cos * y], axis=1)


class Lips(NamedTuple):
    """Middle lines of both lips, ``[N, 2]`` each, left to right."""

    upper: Points
    lower: Points


def ellipse(
    middle: tuple[float, float], half_width: float, half_height: float, angles: NDArray[np.float64]
) -> Points:
    """Points of an ellipse at angles in radians; 0 is right and a quarter turn is down."""
    return np.stack(
        [
            middle[0] + half_width * np.cos(angles),
            middle[1] + half_height * np.sin(angles),
        ],
        axis=1,
    )


def brow(identity: Identity, units: ActionUnits, side: int) -> Points:
    """Five points ``[5, 2]`` from the inner to the outer end, on the parabola through three."""
    squeeze = max(units.squeeze, 0.0)
    inner_x, outer_x = identity.eye_offset - 14 - 5 * squeeze, identity.eye_offset + 17
    inner_y = -40 - 13 * units.brow_in + 2 * squeeze
    outer_y = -40 - 11 * units.brow_out + 3
    middle = np.array([identity.eye_offset, (inner_y + outer_y) / 2 - 5])
    t = np.linspace(-1, 1, 5)[:, None]
    inner, outer = np.array([inner_x, inner_y]), np.array([outer_x, outer_y])
    points: Points = inner * t * (t - 1) / 2 + middle * (1 - t**2) + outer * t * (t + 1) / 2
    return points * (side, 1)


def eye_middle(identity: Identity, side: int) -> tuple[float, float]:
    """Middle of an eye."""
    return side * identity.eye_offset, -18.0


def eye_half_axes(identity: Identity, units: ActionUnits) -> tuple[float, float]:
    """Half the width and half the opening of an eye."""
    opening = 0.62 + 0.55 * units.eye
    opening -= 0.35 * max(units.lid_droop, 0.0) + 0.18 * max(units.cheek, 0.0)
    size = identity.eye_size
    return 1.25 * size, 0.8 * size * min(max(opening, 0.06), 1.5)


def nose_tip(identity: Identity) -> float:
    """The y coordinate of the tip."""
    return identity.nose_length - 8


def lips(identity: Identity, units: ActionUnits, s: NDArray[np.float64]) -> Lips:
    """Both lips at positions `s` from -1, the left corner, to 1, the right corner."""
    half_width = identity.mouth_width * (1 + 0.38 * units.width + 0.15 * max(units.smile, 0.0))
    uplip, opening = max(units.uplip, 0.0), max(units.open, 0.0)
    arch = 1 - s**2
    line = 50 - 6 * uplip + 17 * units.smile * (arch - 0.55)
    line = line - 12 * units.asym * np.maximum(0.0, identity.smirk_side * s) ** 2
    upper, lower = -9 * opening - 3 * uplip, 26 * opening
    return Lips(*(np.stack([half_width * s, line + off * arch], axis=1) for off in (upper, lower)))


def landmarks(identity: Identity, units: ActionUnits) -> Points:
    """The 68 landmarks ``[68, 2]`` in iBUG order, in face coordinates."""
    turns = np.linspace(np.pi, 0, 17)
    jaw = ellipse((0.0, 0.0), identity.head_width, identity.head_height, turns)
    left_brow, right_brow = (brow(identity, units, side) for side in SIDES)
    tip = nose_tip(identity)
    bridge = np.stack([np.zeros(4), np.linspace(-14, tip, 4)], axis=1)
    base = np.stack([np.linspace(-10, 10, 5), np.full(5, tip + NOSE_BASE)], axis=1)
    six = np.radians([180, 240, 300, 0, 60, 120])
    half_axes = eye_half_axes(identity, units)
    eyes = [ellipse(eye_middle(identity, side), *half_axes, six) for side in SIDES]
    outer = lips(identity, units, np.linspace(-1, 1, 7))
    # The rims of the opening lie 2 px inside the middle of the lips, and meet when it is closed.
    inner = lips(identity, units, np.linspace(-0.8, 0.8, 5))
    half_gap = np.maximum((inner.lower - inner.upper) / 2 - (0, 2), 0.0)
    middle = (inner.lower + inner.upper) / 2
    return np.concatenate(
        [
            jaw,
            left_brow[::-1],
            right_brow,
            bridge,
            base,
            *eyes,
            outer.upper,
            outer.lower[-2:0:-1],
            middle - half_gap,
            (middle + half_gap)[-2:0:-1],
        ]
    )
