"""Arrow files and streams from anyone: a small one may unpack to what no memory holds.

Each buffer of a compressed batch begins with its unpacked length, which PyArrow tells only when it
has unpacked it. So the lengths are read here, from the places that the messages of the file name:
`Columnar format <https://arrow.apache.org/docs/format/Columnar.html>`_, with its ``Message.fbs``
and ``File.fbs``, which are written as `FlatBuffers <https://flatbuffers.dev/internals>`_.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from cage_lightning.system.parquet import check_bytes, check_values

_MAGIC = b"ARROW1"
_CONTINUATION = -1  # before the length of a message, but in files of Arrow before 0.15
_DICTIONARY, _BATCH = 2, 3  # kinds of messages that have buffers
_BODY = 3  # the field of a message that tells how many bytes follow it
_BLOCK, _BUFFER = 24, 16  # bytes of the entry of a block, and of a buffer


def read_arrow(file: Path) -> pa.Table:
    """Read an Arrow file or stream whole.

    Raises:
        ValueError: It is none, or its content would be out of all proportion to it.
        OSError: It cannot be read.
    """
    check_unpacked(file)
    size = file.stat().st_size
    with pa.OSFile(str(file)) as source:
        open_source = pa.ipc.open_file if _is_file(file) else pa.ipc.open_stream
        table = open_source(source).read_all()
    check_values(size, table.num_rows * table.num_columns)
    table.validate(full=True)
    return table


def check_unpacked(file: Path) -> None:
    """Refuse an Arrow file or stream with compressed buffers that are out of all proportion to it.

    Raises:
        ValueError: It is one, or is no Arrow.
        OSError: It cannot be read.
    """
    size, described, unpacked = file.stat().st_size, 0, 0
    with file.open("rb") as opened:
        try:
            for message, start in _of_file(opened) if _is_file(file) else _of_stream(opened):
                described += len(message.content) + max(0, message.number(_BODY, "<q"))
                if described > size:
                    raise ValueError("its messages lie in each other")
                unpacked += _unpacked(opened, message, start)
        except struct.error as error:
            raise ValueError("its messages are damaged") from error
    check_bytes(size, unpacked)


def _is_file(file: Path) -> bool:
    """Whether it has a footer, in contrast to a stream."""
    with file.open("rb") as opened:
        begins = opened.read(len(_MAGIC)) == _MAGIC
        opened.seek(max(0, file.stat().st_size - len(_MAGIC)))
        return begins and opened.read() == _MAGIC


class _Table(NamedTuple):
    """A table of FlatBuffers: numbered fields, found by a list of their offsets."""

    content: bytes
    place: int

    @classmethod
    def root(cls, content: bytes) -> _Table:
        return cls(content, struct.unpack_from("<I", content)[0])

    def field(self, number: int) -> int | None:
        """Where a field lies; None if it has its default value."""
        offsets = self.place - self._number("<i", self.place)
        entry = 4 + 2 * number
        if entry >= self._number("<H", offsets):
            return None
        offset = self._number("<H", offsets + entry)
        return self.place + offset if offset else None

    def table(self, number: int) -> _Table | None:
        """A field that is a table."""
        place = self.field(number)
        if place is None:
            return None
        return _Table(self.content, place + self._number("<I", place))

    def structs(self, number: int, form: str, size: int) -> Iterator[tuple[int, ...]]:
        """A field that is a list of structs of some bytes each."""
        if (place := self.field(number)) is not None:
            start = place + self._number("<I", place)
            for entry in range(self._number("<I", start)):
                yield struct.unpack_from(form, self.content, start + 4 + entry * size)

    def number(self, number: int, form: str) -> int:
        """A field that is a number."""
        place = self.field(number)
        return 0 if place is None else self._number(form, place)

    def _number(self, form: str, place: int) -> int:
        if place < 0:
            raise struct.error("before the beginning")
        value: int = struct.unpack_from(form, self.content, place)[0]
        return value


_Message = tuple[_Table, int]
"""What it says, and where its buffers begin in the file."""


def _of_file(file: io.BufferedReader) -> Iterator[_Message]:
    """The messages that the footer names."""
    end = file.seek(-len(_MAGIC) - 4, os.SEEK_END)
    (length,) = struct.unpack("<i", file.read(4))
    file.seek(max(0, end - length))
    footer = _Table.root(file.read(max(0, length)))
    for kind in (2, 3):  # dictionaries, batches
        for start, size, _ in footer.structs(kind, "<qi4xq", _BLOCK):
            file.seek(max(0, start))
            if message := _message(file):
                yield message, start + size


def _of_stream(file: io.BufferedReader) -> Iterator[_Message]:
    """The messages one after the other."""
    while message := _message(file):
        start = file.tell()
        yield message, start
        file.seek(start + max(0, message.number(_BODY, "<q")))


def _message(file: io.BufferedReader) -> _Table | None:
    """The message that begins here; None at the end."""
    (length,) = struct.unpack("<i", file.read(4) or bytes(4))
    if length == _CONTINUATION:
        (length,) = struct.unpack("<i", file.read(4))
    return _Table.root(file.read(length)) if length > 0 else None


def _unpacked(file: io.BufferedReader, message: _Table, start: int) -> int:
    """The bytes that the buffers of a message unpack to; 0 if they are not compressed."""
    kind, batch = message.number(1, "<B"), message.table(2)
    if kind == _DICTIONARY and batch is not None:
        batch = batch.table(1)
    if batch is None or kind not in (_DICTIONARY, _BATCH) or batch.field(3) is None:
        return 0
    total, here = 0, file.tell()
    for offset, _ in batch.structs(2, "<qq", _BUFFER):
        file.seek(max(0, start + offset))
        total += max(0, int.from_bytes(file.read(8), "little", signed=True))
    file.seek(here)
    return total
