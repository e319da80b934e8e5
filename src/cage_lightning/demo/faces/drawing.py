"""From a sample's number to its picture, nuisance included."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from cage_lightning.demo.faces.geometry import CANVAS, Identity, Points, Pose, landmarks
from cage_lightning.demo.faces.head import Colour, Sketch, draw_glasses, draw_head
from cage_lightning.demo.faces.labels import draw_action_units, draw_label, sample_generator
from cage_lightning.errors import ConfigError

DRAWING_VERSION = 1
"""Raise it whenever the same seed gives other pictures or labels than before."""

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Face(NamedTuple):
    """One drawn sample.

    Attributes:
        image: uint8 ``[H, W, 3]``, RGB.
        category: AffectNet code, 0 to 7.
        valence: In [-1, 1].
        arousal: In [-1, 1].
        landmarks: float64 ``[68, 2]``, x and y in pixels of `image`, iBUG order.
        jpeg_quality: The quality to store the picture with; part of the nuisance.
    """

    image: NDArray[np.uint8]
    category: int
    valence: float
    arousal: float
    landmarks: Points
    jpeg_quality: int


def draw_face(seed: int, split: str, index: int, pixels: int, hard: float = 1.0) -> Face:
    """Draw one sample. It depends on the arguments only, not on samples drawn before.

    Args:
        seed: Seed of the dataset, not negative.
        split: "train" (categories skewed as in AffectNet) or "val" (balanced).
        index: Position in the split, not negative.
        pixels: Height and width of the picture. The label does not depend on it.
        hard: Strength of the nuisance (pose, background, light, glasses, occlusion, blur, noise,
            compression) in [0, 1]; 0 draws clean frontal faces.

    Raises:
        ConfigError: `split` does not exist or `hard` is out of range.
    """
    if not 0 <= hard <= 1:
        raise ConfigError(f"hard={hard} is out of range: choose a value in [0, 1]")
    rng = sample_generator(seed, split, index)
    label = draw_label(rng, split, index)
    units = draw_action_units(rng, label)
    identity = Identity.draw(rng)
    pose = Pose.draw(rng, identity, units, hard)

    # Drawn larger and averaged, because Pillow draws without anti-aliasing.
    factor = max(2, math.ceil(128 / pixels))
    picture = _background(rng, factor * pixels, hard)
    sketch = Sketch(picture, pose)
    draw_head(sketch, rng, identity, units, label.arousal)
    if rng.random() < 0.12 * hard:
        draw_glasses(sketch, identity)
    if rng.random() < 0.10 * hard:
        ImageDraw.Draw(picture).rectangle(*_random_box(rng, picture.width, (20, 60)))
    if rng.random() < 0.20 * hard:
        radius = rng.uniform(0.5, 2.5) * picture.width / CANVAS
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    return Face(
        image=_photograph(rng, picture.reduce(factor), hard),
        **label._asdict(),
        landmarks=pose.place(landmarks(identity, units)) * (pixels / CANVAS),
        jpeg_quality=round(95 - 35 * hard * rng.random()),
    )


def _background(rng: np.random.Generator, width: int, hard: float) -> Image.Image:
    """A gradient between two colours with up to seven boxes and ellipses; plain grey at 0."""
    start, end = 128 + hard * (rng.integers(20, 236, (2, 3)) - 128)
    ramp = start + np.linspace(0, 1, width)[:, None] * (end - start)
    pixels = np.broadcast_to(ramp.astype(np.uint8), (width, width, 3))
    if rng.random() < 0.5:
        pixels = pixels.swapaxes(0, 1)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    draw = ImageDraw.Draw(picture)
    for _ in range(round(hard * int(rng.integers(0, 8)))):
        shape = draw.rectangle if rng.random() < 0.5 else draw.ellipse
        shape(*_random_box(rng, width, (10, 90)))
    return picture


def _random_box(
    rng: np.random.Generator, width: int, sizes: tuple[float, float]
) -> tuple[list[float], Colour]:
    """Corners and colour of a box of random place and size; `sizes` are canvas pixels."""
    middle, half_size = rng.uniform(0, CANVAS, 2), rng.uniform(*sizes, 2) / 2
    corners = np.concatenate([middle - half_size, middle + half_size]) * (width / CANVAS)
    red, green, blue = rng.integers(20, 236, 3).tolist()
    return corners.tolist(), (red, green, blue)


def _photograph(rng: np.random.Generator, picture: Image.Image, hard: float) -> NDArray[np.uint8]:
    """Light, loss of colour and sensor noise."""
    pixels: NDArray[np.float32] = np.asarray(picture, dtype=np.float32)
    across = np.linspace(-1, 1, picture.width, dtype=np.float32)
    direction, amplitude = rng.uniform(0, 2 * math.pi), hard * rng.uniform(0, 0.35)
    slope = across * math.cos(direction) + across[:, None] * math.sin(direction)
    gain = 1 + hard * (rng.uniform(0.7, 1.2) - 1)
    pixels = pixels * np.float32(gain) * (1 + np.float32(amplitude) * slope)[..., None]
    if rng.random() < 0.05 * hard:
        pixels = np.broadcast_to((pixels * _LUMINANCE).sum(axis=-1, keepdims=True), pixels.shape)
    noise_sd = hard * rng.uniform(0, 8)
    pixels = pixels + noise_sd * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
