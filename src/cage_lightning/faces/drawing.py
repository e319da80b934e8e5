"""What was found in a picture, drawn into it: boxes, categories, and a point on the circumplex.

Lines have a dark edge and text stands on a dark plate, so that both are seen on light and on dark
pictures; all sizes follow that of the face.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from cage_lightning.faces.face import Box
from cage_lightning.labels import LabelSpace

Colour = tuple[int, int, int]

# Okabe and Ito's colours, which people who are colour-blind can tell apart, and two more: in the
# order of AffectNet's categories. Other label spaces go round.
_COLOURS: tuple[Colour, ...] = (
    (200, 200, 200), (240, 228, 66), (86, 180, 233), (230, 159, 0),
    (204, 121, 167), (0, 190, 140), (235, 95, 40), (170, 140, 255),
)  # fmt: skip
_DARK, _LIGHT = (16, 16, 20), (255, 255, 255)
_PLATE = 190  # opacity of what text and the circumplex stand on, of 255
_MOST_CATEGORIES = 3  # of a face, where several may apply
_SUPERSAMPLING = 4  # Pillow draws circles without anti-aliasing


@dataclass(frozen=True)
class Mark:
    """What is drawn for one face.

    Attributes:
        box: Its box.
        lines: The text.
        colour: Of the box and the point.
        point: Valence and arousal, if both are known.
    """

    box: Box
    lines: tuple[str, ...]
    colour: Colour
    point: tuple[float, float] | None


def mark_of(row: Mapping[str, Any], space: LabelSpace) -> Mark:
    """What is drawn for the row of a face; see `rows`. Smoothed affect is preferred."""
    affect = {
        name: row.get(f"{name}_smoothed", row.get(name))
        for name in space.dimensions
        if row.get(name) is not None
    }
    names = _categories(row, space)
    number = "" if row.get("track") is None else f"#{row['track']} "
    lines = [f"{name} {row[f'prob_{name}']:.0%}" for name in names]
    lines += ["  ".join(f"{n[0].upper()} {value:+.2f}" for n, value in affect.items())] * bool(
        affect
    )
    point = (
        (affect["valence"], affect["arousal"]) if {"valence", "arousal"} <= set(affect) else None
    )
    colour = _COLOURS[space.categories.index(names[0]) % len(_COLOURS)] if names else _LIGHT
    box = (row["left"], row["top"], row["right"], row["bottom"])
    return Mark(box, (f"{number}{lines[0]}".strip(), *lines[1:]), colour, point)


def _categories(row: Mapping[str, Any], space: LabelSpace) -> list[str]:
    """The categories of a face, the most probable first."""
    ranked = sorted(
        (name for name in space.categories if row.get(f"prob_{name}") is not None),
        key=lambda name: -row[f"prob_{name}"],
    )
    if not space.multi_label:
        return ranked[:1]
    applying = [name for name in ranked if row[f"prob_{name}"] >= 0.5]
    return (applying or ranked[:1])[:_MOST_CATEGORIES]


def draw_marks(picture: Image.Image, marks: Sequence[Mark]) -> Image.Image:
    """A copy of a picture with marks in it.

    Args:
        picture: RGB.
        marks: The largest first: smaller ones are drawn over them.
    """
    drawn = picture.copy()
    for mark in marks:
        _draw_box(drawn, mark)
    for mark in marks:
        _draw_notes(drawn, mark)
    return drawn


def _draw_box(picture: Image.Image, mark: Mark) -> None:
    width = _line_width(mark)
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = (round(edge) for edge in mark.box)
    for grown, thick, colour in ((1, width + 2, _DARK), (0, width, mark.colour)):
        edges = (left - grown, top - grown, right - 1 + grown, bottom - 1 + grown)
        draw.rectangle(edges, outline=colour, width=thick)


def _draw_notes(picture: Image.Image, mark: Mark) -> None:
    """The text above the box, or below it, or inside; the circumplex beside the text."""
    notes = _notes(mark, _font_size(mark, picture))
    left, top, _, bottom = mark.box
    above, below = round(top) - notes.height - 1, round(bottom) + 1
    y = above if above >= 0 else below
    if y + notes.height > picture.height:
        y = max(0, min(round(top) + 1, picture.height - notes.height))
    x = max(0, min(round(left) - 1, picture.width - notes.width))
    picture.paste(notes, (x, y), notes)


def _notes(mark: Mark, font_size: int) -> Image.Image:
    """RGBA: the text on its plate and, if there is a point, the circumplex."""
    font = _font(font_size)
    gap = max(2, round(font.size / 4))
    boxes = [font.getbbox(line) for line in mark.lines]
    step = round(font.size * 1.2)
    text_width, text_height = math.ceil(max(box[2] for box in boxes)), step * len(mark.lines)
    side = 0 if mark.point is None else max(text_height, round(2.6 * font.size))
    height = max(text_height, side) + 2 * gap
    notes = Image.new(
        "RGBA", (text_width + 2 * gap + (side + gap if side else 0), height), (*_DARK, _PLATE)
    )
    draw = ImageDraw.Draw(notes)
    for n, line in enumerate(mark.lines):
        y = (height - text_height) / 2 + n * step
        draw.text((gap, y), line, font=font, fill=(*_LIGHT, 255))
    if mark.point is not None:
        circumplex = _circumplex(side, mark.point, mark.colour)
        notes.paste(circumplex, (text_width + 2 * gap, (height - side) // 2), circumplex)
    return notes


def _circumplex(side: int, point: tuple[float, float], colour: Colour) -> Image.Image:
    """RGBA: a circle of radius 1 with its axes, valence to the right and arousal up."""
    size = side * _SUPERSAMPLING
    picture = Image.new("RGBA", (size, size), (*_DARK, 0))
    draw = ImageDraw.Draw(picture)
    middle, line = size / 2, max(1, size // 40)
    radius = middle - line
    dot = max(size / 9, 2 * line)
    draw.ellipse(_around(middle, middle, radius), (60, 60, 68, 255), (*_LIGHT, 255), line)
    for axis in ((line, middle, size - line, middle), (middle, line, middle, size - line)):
        draw.line(axis, (140, 140, 150, 255), line)
    length = max(1.0, math.hypot(*point))
    x = middle + (radius - dot) * point[0] / length
    y = middle - (radius - dot) * point[1] / length
    draw.ellipse(_around(x, y, dot), (*colour, 255), (*_LIGHT, 255), line)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def _around(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius


def _size(mark: Mark) -> float:
    return max(mark.box[2] - mark.box[0], mark.box[3] - mark.box[1])


def _line_width(mark: Mark) -> int:
    return max(1, round(_size(mark) / 100))


def _font_size(mark: Mark, picture: Image.Image) -> int:
    """Legible at the size at which the picture is seen, and larger for a face that fills it."""
    return round(min(max(12.0, _size(mark) / 20, math.hypot(*picture.size) / 110), 96.0))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
