"""FER2013 as its competition published it: a list of pixels, unpacked into pictures."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from cage_lightning.data.readers.unpacking import is_unpacked, unpack
from cage_lightning.errors import DataError

# By the codes 0 to 6.
CATEGORIES = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")
COLUMNS = ("emotion", "pixels", "usage")
SIZE = 48

logger = logging.getLogger(__name__)


def unpacked(source: Path, root: Path) -> Path:
    """The folder with the pictures of a list, which are written if they are not there yet.

    It is hidden, because it follows from the list: the release has not changed when it is written
    or deleted. It appears when it is complete, and is made anew for a list of another length. A
    process that comes while another one writes waits for it.

    Args:
        source: The list: ``emotion`` from 0 to 6, ``pixels``, 48 x 48 numbers from 0 to 255 row by
            row, and ``Usage``.
        root: Folder to write ``.pictures`` in.

    Returns:
        The folder: ``{usage}/{category}/fer{row}.png`` below, the row from 0, as FER+ counts them.

    Raises:
        DataError: A row is not as it should be.
        OutputError: There is no room for the pictures, or they may not be written.
    """
    folder = root / ".pictures"
    about = {"name": source.name, "bytes": source.stat().st_size}
    if not is_unpacked(folder, about):
        logger.info("%s: unpacking the pictures into %s, once", source, folder)
        unpack(folder, about, _pictures(source))
    return folder


def _pictures(source: Path) -> Iterator[tuple[str, bytes]]:
    """The place below the folder and the file of each picture."""
    with source.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        try:
            names = [name.strip().casefold() for name in next(reader, [])]
            if absent := [name for name in COLUMNS if name not in names]:
                raise ValueError(f"there is no column {absent[0]} in {','.join(names)}")
            columns = [names.index(name) for name in COLUMNS]
            for row, fields in enumerate(filter(None, reader)):
                if len(fields) != len(names):
                    raise ValueError(f"{len(fields)} fields instead of {len(names)}")
                emotion, pixels, usage = (fields[column].strip() for column in columns)
                yield _place(row, emotion, usage), _file(pixels)
        except (ValueError, csv.Error) as error:
            raise DataError(
                f"{source}, line {reader.line_num}: {error}; expected {','.join(COLUMNS)}: a code "
                f"from 0 to 6, {SIZE} x {SIZE} numbers from 0 to 255, and one of "
                f"{', '.join(USAGES)}"
            ) from error


def _place(row: int, emotion: str, usage: str) -> str:
    if emotion not in tuple("0123456") or usage not in USAGES:
        raise ValueError(f"emotion is {emotion!r} and Usage {usage!r}")
    return f"{usage}/{CATEGORIES[int(emotion)]}/fer{row:07d}.png"


def _file(text: str) -> bytes:
    pixels, file = bytes(map(int, text.split())), io.BytesIO()
    if len(pixels) != SIZE * SIZE:
        raise ValueError(f"there are {len(pixels)} pixels")
    Image.frombytes("L", (SIZE, SIZE), pixels).save(file, "PNG")
    return file.getvalue()
