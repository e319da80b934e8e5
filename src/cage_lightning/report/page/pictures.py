"""Pictures that lie inside the page instead of beside it."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from cage_lightning.errors import DataError

_NARROWEST = 200  # pixels: no picture is made smaller
_COLORS = 64  # of a drawing: half the size of what a lossy format makes of it, and clear lines
_QUALITY = 80  # of photographs


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
        budget: Of the data URI.
        photographs: Whether it is a sheet of photographs, not a drawing.

    Raises:
        DataError: The file is no picture.
    """
    pixels = _pixels(picture)
    width = min(pixels.width, 1600 if photographs else 1100)
    while True:
        size = width, round(pixels.height * width / pixels.width)
        resized = pixels.resize(size, Image.Resampling.LANCZOS)
        uri = f"data:image/webp;base64,{base64.b64encode(_webp(resized, photographs)).decode()}"
        if len(uri) <= budget or width <= _NARROWEST:
            return Embedded(title, uri, size, photographs)
        width = max(_NARROWEST, int(width * min(0.9, math.sqrt(budget / len(uri)))))


def _pixels(picture: Path | Figure) -> Image.Image:
    if isinstance(picture, Path):
        try:
            return Image.open(picture).convert("RGB")
        except OSError as error:
            raise DataError(f"{picture} is no picture: {error}") from error
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=180)
    return Image.open(buffer).convert("RGB")


def _webp(picture: Image.Image, photographs: bool) -> bytes:
    buffer = io.BytesIO()
    if photographs:
        picture.save(buffer, "WEBP", quality=_QUALITY)
    else:
        # Coverage keeps what is small but coloured; k-means then brings the large areas right.
        few = picture.quantize(
            _COLORS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
        )
        few.convert("RGB").save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()
