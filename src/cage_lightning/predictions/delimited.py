"""Tables of text as programs write them: any usual encoding and separator."""

from __future__ import annotations

import codecs
import csv
import io
import logging
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

_SEPARATORS = (",", ";", "\t", "|")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_delimited(path: Path, known: Callable[[str], bool]) -> list[tuple[str, list[str]]]:
    """The columns of a file, by their names in the header; blank lines are left out.

    Args:
        path: UTF-8, UTF-16, or else Latin-1; separated by comma, semicolon, tab or bar.
        known: Whether a column of this name is of use, by which the separator is recognised.

    Returns:
        Names and texts, without blanks around them, in the order of the file; a name may occur
        twice. Numbers with a decimal comma have a point where the comma is not the separator.

    Raises:
        ValueError: A row has another number of fields than the header, or the text is broken.
    """
    text = _decoded(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    if not header:
        raise ValueError("it is empty")

    def matches(separator: str) -> int:
        return sum(known(name.strip(' "')) for name in header.split(separator))

    separator = max(_SEPARATORS, key=matches)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        rows = [row for row in reader if any(map(str.strip, row))]
        names = [name.strip() for name in rows.pop(0)]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise ValueError(f"row {number} has {len(row)} fields, and the header {len(names)}")
    columns = [[text.strip() for text in column] for column in zip(*rows, strict=True)]
    if separator != ",":
        columns = [[_with_point(text) for text in column] for column in columns]
    return list(zip(names, columns or [[] for _ in names], strict=True))


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding)
    if b"\0" in data[:2]:  # of a first letter that ASCII has
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        logger.info("%s: read as Latin-1, because it is not UTF-8", path)
        return data.decode("latin-1")


def _with_point(text: str) -> str:
    whole, comma, fraction = text.lstrip("+-").partition(",")
    return text.replace(",", ".") if comma and (whole + fraction).isdecimal() else text
