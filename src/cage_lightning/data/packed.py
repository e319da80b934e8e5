"""The pictures in a file of the packed store, read one by one and compared with their checksums."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cage_lightning.data.files import LEAVE_OUT, MAX_BYTES, map_files
from cage_lightning.errors import DataError, first_line
from cage_lightning.system.arrow import check_unpacked

METADATA_KEY = b"cage_lightning"
IMAGE, CHECKSUM = "image", "image_crc32"
REMEDY = "run `python -m cage_lightning.prepare` again, or read the release itself: data.store=null"
_STREAM = 8  # bytes, after which a file is as a stream of Arrow is


class PackedPictures:
    """Pictures in a file of the store: number `i` is that of row ``rows[i]``.

    The file is opened when the first picture is asked for, in each process anew.

    Args:
        file: The file.
        rows: int32 ``[N]``.
        metadata: Of the file's schema: tells whether another file has taken its place since.
        checked: Whether the file has the checksums of its pictures, which older ones lack.
    """

    def __init__(
        self, file: Path, rows: npt.NDArray[np.int32], metadata: bytes, checked: bool
    ) -> None:
        self.file, self.rows, self.metadata, self.checked = file, rows, metadata, checked
        self._opened: _Opened | None = None

    def __getitem__(self, number: int) -> bytes:
        """The picture as it was encoded.

        Raises:
            DataError: It has changed since it was packed, or the file was replaced or cut off.
        """
        row = int(self.rows[number])
        content, is_sound = self._read(row)
        if not is_sound:
            raise DataError(
                f"{self.file}: the picture of row {row} has changed since it was packed (its "
                f"checksum differs): {REMEDY}; or {LEAVE_OUT}"
            )
        return content

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def select(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> PackedPictures:
        """The pictures of some of the rows, see `Annotations.select`."""
        return PackedPictures(self.file, self.rows[rows], self.metadata, self.checked)

    def are_sound(self) -> npt.NDArray[np.bool_]:
        """Which pictures have not changed since they were packed, ``[N]``; each is read once.

        Without checksums nothing is read, and all count as sound.

        Raises:
            DataError: The file was replaced or cut off.
        """
        if not self.checked:
            return np.ones(len(self.rows), np.bool_)
        sound = map_files(lambda row: self._read(row)[1], self.rows.tolist(), "Checking the store")
        return np.array(sound, np.bool_)

    def _read(self, row: int) -> tuple[bytes, bool]:
        """The picture of a row of the file, and whether it is as it was packed."""
        if self._opened is None:
            self._opened = _opened(self.file, self.metadata)
        return self._opened.read(self.file, row)


@dataclass(frozen=True)
class _Opened:
    """A file that is open, and where its pictures lie in it.

    Attributes:
        memory: The file. Nothing is read through the map: a page of it that is gone, because the
            file was cut off or a network failed, would end the process.
        start: First byte of each picture, int64 ``[N]``.
        length: Bytes of each picture, uint32 ``[N]``: `MAX_BYTES` fits in there.
        checksum: CRC-32 of each picture, uint32 ``[N]``; None in an older file.
    """

    memory: pa.MemoryMappedFile
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.uint32]
    checksum: npt.NDArray[np.uint32] | None

    def read(self, file: Path, row: int) -> tuple[bytes, bool]:
        length = int(self.length[row])
        try:
            content = os.pread(self.memory.fileno(), length, int(self.start[row]))
        except OSError as error:
            raise DataError(f"{file} cannot be read ({error.strerror}): {REMEDY}") from error
        if len(content) < length:
            raise DataError(f"{file} was cut off while it was in use: {REMEDY}")
        return content, self.checksum is None or zlib.crc32(content) == self.checksum[row]


def map_table(file: Path) -> pa.Table:
    """The table in a file, mapped into memory. Its pictures are not yet read.

    It is sound in itself: Arrow follows a wrong offset to wherever it leads, out of the memory of
    this process as well.

    Raises:
        DataError: It is not, or no such file.
    """
    return _mapped(file)[0]


def _mapped(file: Path) -> tuple[pa.Table, pa.MemoryMappedFile]:
    try:
        check_unpacked(file)
        memory = pa.memory_map(str(file))
        table = pa.ipc.open_file(memory).read_all()
        table.validate(full=True)
        _check_columns(table.schema)
        memory.seek(_STREAM)  # the schema is there twice
        if not pa.ipc.open_stream(memory).schema.equals(table.schema, check_metadata=True):
            raise pa.ArrowInvalid("two schemas")
        return table, memory
    except (OSError, ValueError, pa.ArrowException) as error:
        what = first_line(error)
        raise DataError(f"{file} is no packed store or damaged ({what}): {REMEDY}") from error


def _check_columns(schema: pa.Schema) -> None:
    """Refuse columns that are called the same, and checksums that are none.

    Raises:
        ArrowInvalid: There are some.
    """
    if len(set(schema.names)) < len(schema.names):
        raise pa.ArrowInvalid("a column is there twice")
    if CHECKSUM in schema.names and schema.field(CHECKSUM).type != pa.uint32():
        raise pa.ArrowInvalid("its checksums are of another type")


def _opened(file: Path, metadata: bytes) -> _Opened:
    table, memory = _mapped(file)
    if table.schema.metadata[METADATA_KEY] != metadata:
        raise DataError(f"{file} was replaced while it was in use; start again")
    start, length = _places(table[IMAGE], memory)
    beyond = (start + length > memory.size()) | (length > MAX_BYTES)
    if (start < 0).any() or beyond.any():  # compressed, for example
        raise DataError(f"{file} does not hold its pictures as they are: {REMEDY}")
    known = table[CHECKSUM].to_numpy() if CHECKSUM in table.column_names else None
    known = None if known is None else np.array(known)
    return _Opened(memory, start, length.astype(np.uint32), known)


def _places(
    pictures: pa.ChunkedArray, memory: pa.MemoryMappedFile
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First byte and length of each picture of a column that is mapped into memory."""
    memory.seek(0)
    begin = memory.read_buffer(1).address
    starts, lengths = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for chunk in pictures.chunks:
        _, bounds, content = chunk.buffers()
        if len(chunk) and content is not None:
            bound = np.frombuffer(bounds, np.int64, len(chunk) + 1, 8 * chunk.offset)
            starts.append(bound[:-1] + (content.address - begin))
            lengths.append(np.diff(bound))
        else:  # no picture of this part has a byte
            starts.append(np.zeros(len(chunk), np.int64))
            lengths.append(np.zeros(len(chunk), np.int64))
    return np.concatenate(starts), np.concatenate(lengths)
