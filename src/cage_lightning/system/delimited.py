"""Tables of text as programs write them: any usual encoding and separator."""

from __future__ import annotations

import codecs
import csv
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger(__name__)

_SEPARATORS = (",", ";", "\t", "|")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_EXCEL = "sep="  # the first line of some exports names the separator


class Delimited(NamedTuple):
    """The rows of a file as they are written, without blank lines.

    Attributes:
        names: The header.
        rows: The fields of each row, without blanks around them; any number of them.
        lines: The number of the line that each row ends in, from 1.
        separator: Between the fields.
    """

    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str


def read_delimited(path: Path, known: Callable[[str], bool]) -> list[tuple[str, list[str]]]:
    """The columns of a file, by their names in the header; blank lines are left out.

    Args:
        path: As in `read_rows`.
        known: As in `read_rows`.

    Returns:
        Names and texts, without blanks around them, in the order of the file; a name may occur
        twice. Numbers with a decimal comma have a point where the comma is not the separator.

    Raises:
        ValueError: A row has another number of fields than the header, or the text is broken.
    """
    names, rows, _, separator = read_rows(path, known)
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise ValueError(f"row {number} has {len(row)} fields, and the header {len(names)}")
    columns = [list(column) for column in zip(*rows, strict=True)]
    if separator != ",":
        columns = [[with_point(text) for text in column] for column in columns]
    return list(zip(names, columns or [[] for _ in names], strict=True))


def read_rows(path: Path, known: Callable[[str], bool]) -> Delimited:
    """The rows of a file, whatever their number of fields.

    Args:
        path: UTF-8, UTF-16, or else Latin-1; separated by comma, semicolon, tab or bar.
        known: Whether a column of this name is of use, by which the separator is recognised.

    Raises:
        ValueError: There is no header, or the text is broken.
    """
    text = _decoded(path)
    lines = text.splitlines(keepends=True)
    before = 0
    if lines and lines[0].strip().strip('"').casefold().startswith(_EXCEL):
        before, text = 1, text[len(lines[0]) :]
    header = next((line for line in lines[before:] if line.strip()), "")
    if not header:
        raise ValueError("it is empty")

    def matches(separator: str) -> tuple[int, int]:
        names = header.split(separator)
        return sum(known(name.strip(' "\r\n')) for name in names), len(names)

    separator = max(_SEPARATORS, key=matches)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, ends = [], []
    try:
        for row in reader:
            if any(map(str.strip, row)):
                rows.append([field.strip() for field in row])
                ends.append(reader.line_num + before)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num + before}: {error}") from error
    if not rows:  # its lines are quotes
        raise ValueError("it is empty")
    return Delimited(rows[0], rows[1:], ends[1:], separator)


def with_point(text: str) -> str:
    """A number with a point where it has a decimal comma; any other text as it is."""
    whole, comma, fraction = text.lstrip("+-").partition(",")
    return text.replace(",", ".") if comma and (whole + fraction).isdecimal() else text


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
