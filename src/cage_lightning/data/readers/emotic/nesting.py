"""How deep the arrays in a MAT file are nested, and of what: else SciPy may end the process.

The grammar is the one by which SciPy reads, which takes no notice of how many bytes an array claims
to have. So a file that lies about them means here what it means there. See "MAT-File Format" of
MathWorks, level 5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path

_DEEPEST = 32  # EMOTIC's own file has a quarter of it
_MOST_ARRAYS = 5_000_000
_MOST_BYTES = 1 << 29  # of a variable, unpacked
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _SPARSE, _NUMBERS = 1, 2, 4, 5, range(6, 16)
_DATA = {*range(1, 8), 9, 12, 13, 16, 17, 18}  # whole numbers, floats, text
_IS_COMPLEX = 1 << 11


def check_nesting(file: Path, name: str) -> None:
    """Refuse a variable of a MAT file that is nested without bound, or unpacks to too much.

    Args:
        file: Of level 5, to which version 7 belongs; others are left to SciPy.
        name: Of the variable.

    Raises:
        ValueError: It is, or the file is cut off.
        OSError: It cannot be read.
    """
    content = memoryview(file.read_bytes())
    if len(content) < _HEADER or 0 in content[:4]:
        return
    order = "<" if bytes(content[126:128]) == b"IM" else ">"  # whatever else stands there, to SciPy
    try:
        for variable in _variables(content, order):
            _Walk(variable, order).run(name)
    except (struct.error, zlib.error) as error:
        raise ValueError(f"cut off, or damaged ({error})") from error


def _variables(content: memoryview, order: str) -> Iterator[memoryview]:
    """The arrays at the top, each without the tag that says how long it is."""
    at = _HEADER
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        inner = content[at + 8 : at + 8 + size]
        if kind == _COMPRESSED:
            unpack = zlib.decompressobj()
            inner = memoryview(unpack.decompress(inner, _MOST_BYTES))[8:]
            if unpack.unconsumed_tail:
                raise ValueError(f"a variable unpacks to more than {_MOST_BYTES:,} bytes")
        yield inner
        at += 8 + size


class _Walk:
    """A way through an array and all arrays in it, which makes none of them."""

    def __init__(self, data: memoryview, order: str) -> None:
        self._data, self._at = data, 0
        self._order = order
        self._pair = struct.Struct(f"{order}II").unpack_from

    def run(self, name: str) -> None:
        """Go to the end, if the array has this name."""
        left = [self._inside(name)]
        arrays = 0
        while left:
            if not left[-1]:
                left.pop()
                continue
            left[-1] -= 1
            arrays += 1
            kind, size = self._pair(self._data, self._at)
            self._at += 8
            if kind != _MATRIX:
                raise ValueError("an array is expected where there is none")
            if size:
                left.append(self._inside())
            if len(left) > _DEEPEST or arrays > _MOST_ARRAYS:
                raise ValueError(
                    f"arrays are more than {_DEEPEST} deep in each other, or more than "
                    f"{_MOST_ARRAYS:,}"
                )

    def _inside(self, name: str | None = None) -> int:
        """How many arrays follow inside the array that begins here; goes past all else of it."""
        flags, _ = self._pair(self._data, self._at + 8)
        self._at += 16
        dimensions = self._numbers()
        start, size = self._element()
        if name is not None and self._data[start : start + size] != name.encode(
            "latin-1", "replace"
        ):
            return 0
        kind = flags & 0xFF
        if kind in (_CELL, _STRUCT):
            count = prod(dimensions) * (1 if kind == _CELL else self._fields())
            if min(dimensions, default=0) < 0 or 8 * count > len(self._data) - self._at:
                raise ValueError("an array has more elements than the file has room for")
            return count
        if kind not in (_CHAR, _SPARSE, *_NUMBERS):
            raise ValueError("objects and functions of MATLAB are not read")
        parts = 1 if kind == _CHAR else 1 + bool(flags & _IS_COMPLEX) + 2 * (kind == _SPARSE)
        for _ in range(parts):
            self._element()
        return 0

    def _fields(self) -> int:
        """How many fields a struct has."""
        (longest, *_) = self._numbers() or (0,)
        _, size = self._element()
        return size // longest if longest > 0 else 0

    def _numbers(self) -> tuple[int, ...]:
        start, size = self._element()
        return struct.unpack_from(f"{self._order}{size // 4}i", self._data, start)

    def _element(self) -> tuple[int, int]:
        """Where the data that follow begin, and how many bytes they are; goes past them."""
        kind, size = self._pair(self._data, self._at)
        if kind & 0xFFFF not in _DATA:  # SciPy would look it up beyond its table, and die of it
            raise ValueError("data of a type that there is not")
        if kind >> 16:  # few data stand in the second half of the tag
            start, size = self._at + 4, kind >> 16
            self._at += 8
            return start, size
        start = self._at + 8
        self._at = start + size + -size % 8
        return start, size
