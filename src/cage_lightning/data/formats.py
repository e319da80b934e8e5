"""Which files are pictures: the formats that are opened, and the endings of their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from PIL import features

# None of them needs a program beside Pillow: what only looks like a picture, such as EPS, would.
# And of each Pillow tells where the file ends too early; of JPEG 2000 not always.
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "AVIF": (".avif", ".avifs"),
}

# A Pillow built without its library cannot open AVIF: such a file is a fault then, named as one.
_AVIF = "avif" in features.modules and features.check("avif")
FORMATS = tuple(name for name in _ENDINGS if name != "AVIF" or _AVIF)
"""What a picture is opened as, whatever the name of its file says: names of Pillow."""

PICTURE_SUFFIXES = tuple(ending for endings in _ENDINGS.values() for ending in endings)
"""How the names of pictures end, in lower case: by this a reader finds them in a folder."""

_OF_THE_SYSTEM = {"thumbs.db", "desktop.ini", "ehthumbs.db"}
_TO_CONVERT = {".heic", ".heif", ".hif"}
_BRANDS = {
    "HEIC": ("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"),
    "AVIF": ("avif", "avis"),
}
TO_CONVERT = "convert it to JPEG"
"""What to do about a picture in a format that Pillow cannot open, as iPhones save theirs."""

_PLAIN_ENDING = re.compile(r"\.[a-z][a-z0-9]{0,9}\Z")


def is_picture(name: str) -> bool:
    """Whether a file's name, or its path, ends as that of a picture, in any case."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def is_passed_over(name: str) -> bool:
    """Whether a file's name is hidden, or one that Windows puts into folders of pictures."""
    return name.startswith(".") or name.lower() in _OF_THE_SYSTEM


def other_files(names: Iterable[str]) -> Counter[str]:
    """How many visible files are no pictures by their names, to be counted as left out.

    Args:
        names: Names of files, or paths with ``/`` in between.

    Returns:
        ``no picture (.txt)``, by the ending in lower case, -> number of files. Endings of another
        form than a few letters and digits are not repeated. Behind that of HEIC files stands what
        to do about them.
    """
    plain = (name.rpartition("/")[2] for name in names)
    return Counter(_reason(name) for name in plain if not is_passed_over(name))


def _reason(name: str) -> str:
    ending = _PLAIN_ENDING.search(name.lower())
    return "no picture" if ending is None else f"no picture ({advised(ending[0])})"


def advised(ending: str) -> str:
    """The ending of a name, and behind that of a picture to be converted what to do about it."""
    return f"{ending}: {TO_CONVERT}" if ending.lower() in _TO_CONVERT else ending


def not_opened(content: bytes) -> str | None:
    """The name of the format of a picture that this Pillow does not open, and what to do about it.

    None for what is no picture in HEIC or AVIF, or in one that is opened.
    """
    if content[4:8] != b"ftyp":
        return None
    brand = content[8:12].decode("ascii", "replace")
    kinds = (kind for kind, brands in _BRANDS.items() if brand in brands)
    kind = next((kind for kind in kinds if kind not in FORMATS), None)
    return kind and f"{kind}: {TO_CONVERT}"
