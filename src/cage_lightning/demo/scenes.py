"""Drawn pictures and a drawn film with several faces, to try a trained model on.

The faces are those of `faces`, in front of one background, with known boxes: what a detector would
find, which is the part of the picture that a face of the release fills.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from cage_lightning.demo.drawn import write_once
from cage_lightning.demo.faces.geometry import Identity, Pose
from cage_lightning.demo.faces.head import Colour, Sketch, draw_head
from cage_lightning.demo.faces.labels import (
    CATEGORY_MEANS,
    ActionUnits,
    Label,
    draw_action_units,
)
from cage_lightning.errors import ConfigError
from cage_lightning.system.extras import import_extra

SIZE = (1280, 720)  # width and height in pixels
FRAMES, FRAMES_PER_S = 60, 10
FOLDER, FILM, BOXES = "scenes", "film.mp4", "boxes.csv"

_FILM_SIZE = (640, 360)
_VERSION = 1  # of the drawing
_SUPERSAMPLING = 2  # Pillow draws without anti-aliasing
_CLEAR = 1.2  # how far from neutral faces are, as a share of the mean of their category
_TURNED = 0.5  # how far heads turn, of what they do in the release

# Of each picture: the brightness of its background in [0, 1], and for each face its category, where
# its middle is, and its size, the last two as shares of the width. Those further back come first.
_CASTS: tuple[tuple[float, tuple[tuple[int, float, float, float], ...]], ...] = (
    (0.9, ((2, 0.30, 0.25, 0.10), (0, 0.73, 0.23, 0.11), (1, 0.14, 0.30, 0.20),
           (3, 0.51, 0.31, 0.22), (6, 0.87, 0.32, 0.19))),
    (0.12, ((4, 0.62, 0.17, 0.05), (1, 0.24, 0.28, 0.24), (5, 0.78, 0.30, 0.21))),
    (0.5, ((1, 0.50, 0.29, 0.46),)),
    (0.7, ()),
)  # fmt: skip
# Of the film: the first and last category of a face, its way from left to right, and its size.
_ACTORS: tuple[tuple[int, int, float, float, float], ...] = (
    (2, 1, 0.20, 0.36, 0.24),
    (0, 3, 0.75, 0.68, 0.22),
)

Box = tuple[int, int, int, int]
Pixels = npt.NDArray[np.uint8]


class Scene(NamedTuple):
    """One drawn picture.

    Attributes:
        image: uint8 ``[H, W, 3]``, RGB.
        boxes: Left, top, right and bottom edge of each face, in pixels.
        categories: AffectNet codes of the faces, 0 to 7.
    """

    image: Pixels
    boxes: tuple[Box, ...]
    categories: tuple[int, ...]


class _Person(NamedTuple):
    """A head on its body.

    Attributes:
        seed: Of who it is.
        units: The expression.
        arousal: It widens the pupils.
        box: In pixels of the final picture.
    """

    seed: tuple[int, ...]
    units: ActionUnits
    arousal: float
    box: Box


def draw_scene(index: int, seed: int = 0) -> Scene:
    """Draw a picture. It depends on the arguments only.

    Args:
        index: 0 to 3: five faces, three in the dark, one that fills the picture, none.
        seed: Who is in it, not negative.
    """
    brightness, cast = _CASTS[index]
    persons = [
        _person((seed, index, n), category, _square(SIZE, x, y, size))
        for n, (category, x, y, size) in enumerate(cast)
    ]
    image = _draw(SIZE, brightness, (seed, index), persons)
    return Scene(image, tuple(p.box for p in persons), tuple(category for category, *_ in cast))


def draw_film(seed: int = 0) -> Iterator[Scene]:
    """Draw the frames of a film: two faces whose expressions change; the second one comes late."""
    for number in range(FRAMES):
        share = number / (FRAMES - 1)
        actors = _ACTORS if share > 0.25 else _ACTORS[:1]
        persons = [_actor(seed, n, share) for n in range(len(actors))]
        categories = tuple(one[1] if share > 0.5 else one[0] for one in actors)
        image = _draw(_FILM_SIZE, 0.6, (seed, len(_CASTS)), persons)
        yield Scene(image, tuple(person.box for person in persons), categories)


def write_scenes(root: Path, seed: int = 0) -> None:
    """Draw the pictures and the film into a folder, unless they are there already.

    Writes ``scenes/scene0.png`` to ``scene3.png`` and ``scenes/film.mp4``, and beside that folder
    ``boxes.csv`` with the columns file, frame (empty for a picture), left, top, right and bottom
    in pixels.

    Args:
        root: Folder to write. ``{root}.lock`` beside it stays.
        seed: Who is in them, not negative.

    Raises:
        ConfigError: The package av is missing, which writes films.
        DataError: `root` holds something else.
    """
    description = {"seed": seed, "drawing_version": _VERSION}
    write_once(root, "drawn scenes", description, lambda folder: _write(folder, seed))


def _write(folder: Path, seed: int) -> None:
    (folder / FOLDER).mkdir(parents=True)
    rows: list[tuple[str | int, ...]] = []
    for index in range(len(_CASTS)):
        scene, name = draw_scene(index, seed), f"{FOLDER}/scene{index}.png"
        Image.fromarray(scene.image).save(folder / name)
        rows += [(name, "", *box) for box in scene.boxes]
    frames = list(draw_film(seed))
    for number, frame in enumerate(frames):
        rows += [(f"{FOLDER}/{FILM}", number, *box) for box in frame.boxes]
    _write_film(folder / FOLDER / FILM, [frame.image for frame in frames])
    with (folder / BOXES).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "frame", "left", "top", "right", "bottom"), *rows])


def _write_film(path: Path, frames: Sequence[Pixels]) -> None:
    try:
        av = import_extra("av")
    except ImportError as error:
        raise ConfigError(
            f"a film needs the package av ({error}): pip install 'cage-lightning[faces]'"
        ) from error
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_S)
        stream.width, stream.height = _FILM_SIZE
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FRAMES_PER_S)
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def _square(size: tuple[int, int], x: float, y: float, side: float) -> Box:
    """A box of `side` around (x, y), all three shares of the width."""
    left, top, whole = (round(size[0] * value) for value in (x - side / 2, y - side / 2, side))
    return left, top, left + whole, top + whole


def _person(seed: tuple[int, ...], category: int, box: Box) -> _Person:
    units, arousal = _expression(seed, category)
    return _Person(seed, units, arousal, box)


def _expression(seed: tuple[int, ...], category: int) -> tuple[ActionUnits, float]:
    """A clear expression of a category, and its arousal."""
    rng = np.random.default_rng([*seed, category])
    valence, arousal = (_CLEAR * CATEGORY_MEANS[category]).tolist()
    return draw_action_units(rng, Label(category, valence, arousal)), arousal


def _actor(seed: int, number: int, share: float) -> _Person:
    """A person of the film after a share of its time."""
    first, last, start, end, side = _ACTORS[number]
    who = (seed, len(_CASTS), number)
    (before, calm), (after, excited) = (_expression(who, c) for c in (first, last))
    turn = share * share * (3 - 2 * share)  # slow at both ends
    units = ActionUnits(*((1 - turn) * np.array(before) + turn * np.array(after)).tolist())
    x, y = start + share * (end - start), 0.27 + 0.01 * np.sin(12 * share)
    return _Person(who, units, (1 - turn) * calm + turn * excited, _square(_FILM_SIZE, x, y, side))


def _draw(
    size: tuple[int, int], brightness: float, seed: tuple[int, ...], persons: Sequence[_Person]
) -> Pixels:
    width, height = (_SUPERSAMPLING * side for side in size)
    picture = _background(np.random.default_rng(seed), width, height, brightness)
    for person in persons:
        _draw_person(picture, person)
    return np.asarray(picture.reduce(_SUPERSAMPLING))


def _background(
    rng: np.random.Generator, width: int, height: int, brightness: float
) -> Image.Image:
    """A wall, and pictures on it."""
    wall = 255 * brightness * rng.uniform(0.85, 1, 3)
    shade = np.linspace(1, 0.8, height)[:, None, None]
    picture = Image.fromarray(
        np.broadcast_to(shade * wall, (height, width, 3)).astype(np.uint8).copy()
    )
    draw = ImageDraw.Draw(picture)
    for _ in range(6):
        left, top = rng.uniform(0, (width, 0.6 * height))
        across, down = rng.uniform(0.05, 0.2, 2) * width
        colour = tuple((wall * rng.uniform(0.6, 1.0, 3)).astype(int).tolist())
        draw.rectangle((left, top, left + across, top + down), fill=colour)
    return picture


def _draw_person(picture: Image.Image, person: _Person) -> None:
    """Draw the shoulders, and the head over what is behind it."""
    rng = np.random.default_rng(person.seed)
    left, top, right, bottom = (_SUPERSAMPLING * edge for edge in person.box)
    side, middle = right - left, (left + right) / 2
    red, green, blue = rng.integers(40, 200, 3).tolist()
    shirt: Colour = (red, green, blue)
    chest = (middle - 0.8 * side, bottom - 0.12 * side, middle + 0.8 * side, bottom + 2 * side)
    ImageDraw.Draw(picture).rounded_rectangle(chest, 0.45 * side, fill=shirt)
    area = picture.crop((left, top, right, bottom))
    identity = Identity.draw(rng)
    pose = Pose.draw(rng, identity, person.units, _TURNED)
    draw_head(Sketch(area, pose), rng, identity, person.units, person.arousal)
    picture.paste(area, (left, top))
