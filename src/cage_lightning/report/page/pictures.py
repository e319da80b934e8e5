"""Pictures that lie inside the page instead of beside it."""

from __future__ import annotations

import base64
import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure
from PIL import Image

from cage_lightning.errors import DataError
from cage_lightning.report.figures import without_formulas

_NARROWEST = 200  # pixels: no picture is made smaller
_COLORS = 64  # of a drawing: half the size of what a lossy format makes of it, and clear lines
_QUALITY = 80  # of photographs
_EFFORT = 2  # of 6, to make a drawing small: 4 takes more than twice as long for a fiftieth
# Of a figure that is read; ours have a tenth of it.
_MOST_BYTES, _MOST_PIXELS = 100_000_000, 40_000_000
_LONGEST = 16_383  # pixels, of WebP


@dataclass(frozen=True)
class Embedded:
    """A picture as a page shows it.

    Attributes:
        title: What it shows.
        source: The picture itself as a data URI.
        size: Width and height in pixels.
        photographs: Whether it is a sheet of photographs, not a drawing.
    """

    title: str
    source: str
    size: tuple[int, int]
    photographs: bool


def embed(
    title: str,
    picture: Path | Figure,
    budget: float = math.inf,
    photographs: bool = False,
) -> Embedded:
    """A picture, made smaller until it takes at most `budget` characters, or is 200 pixels wide.

    Args:
        title: What it shows.
        picture: A file, or what is to be drawn.
        budget: Number of characters that the data URI may have.
        photographs: Whether it is a sheet of photographs, not a drawing.

    Raises:
        DataError: The file is no picture, or none that a figure could be.
    """
    pixels = _pixels(picture)
    width = min(pixels.width, 1600 if photographs else 1100)
    while True:
        size = width, max(1, round(pixels.height * width / pixels.width))
        resized = pixels.resize(size, Image.Resampling.HAMMING)
        uri = _data_uri("webp", _webp(resized, photographs))
        if len(uri) <= budget or width <= _NARROWEST:
            return Embedded(title, uri, size, photographs)
        width = max(_NARROWEST, int(width * min(0.9, math.sqrt(budget / len(uri)))))


def embed_svg(title: str, document: str, size: tuple[int, int]) -> Embedded:
    """A drawing in SVG; in an image it runs no script and loads nothing.

    Args:
        title: What it shows.
        document: The SVG.
        size: Width and height in pixels, those in the document.
    """
    return Embedded(title, _data_uri("svg+xml", document.encode()), size, photographs=False)


def _data_uri(kind: Literal["webp", "svg+xml"], content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _pixels(picture: Path | Figure) -> Image.Image:
    if isinstance(picture, Path):
        return _read(picture)
    buffer = io.BytesIO()
    # Read again at once: not worth compressing.
    with without_formulas(picture):
        picture.savefig(buffer, format="png", dpi=180, pil_kwargs={"compress_level": 0})
    return Image.open(buffer).convert("RGB")


def _read(file: Path) -> Image.Image:
    """A figure from a run folder, which may have been made by anyone."""
    try:
        if (size := file.stat().st_size) > _MOST_BYTES:
            raise ValueError(f"{size} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # PNG alone: of what only looks like a picture, Pillow would start other programs.
            with Image.open(file, formats=["PNG"]) as stored:
                if max(stored.size) > _LONGEST or math.prod(stored.size) > _MOST_PIXELS:
                    raise ValueError(f"{stored.width}x{stored.height} pixels")
                return stored.convert("RGB")
    except Exception as error:  # Pillow's format readers let all kinds of errors through
        raise DataError(f"{file} is no picture in PNG of a figure: {error}") from error


def _webp(picture: Image.Image, photographs: bool) -> bytes:
    buffer = io.BytesIO()
    if photographs:
        picture.save(buffer, "WEBP", quality=_QUALITY, method=_EFFORT)
    else:
        # Keeps what is small but coloured, in a thirtieth of the time of k-means.
        few = picture.quantize(_COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.convert("RGB").save(buffer, "WEBP", lossless=True, method=_EFFORT)
    return buffer.getvalue()
