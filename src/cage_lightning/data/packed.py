"""The pictures in a file of the packed store, mapped into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cage_lightning.errors import DataError, first_line

METADATA_KEY = b"cage_lightning"
REMEDY = "run `python -m cage_lightning.prepare` again, or read the release itself: data.store=null"
_STREAM = 8  # bytes, after which a file is as a stream of Arrow is


class PackedPictures:
    """Pictures in a file of the store: number `i` is that of row ``rows[i]``.

    The file is mapped into memory when the first picture is asked for, in each process anew.

    Args:
        file: The file.
        rows: int64 ``[N]``.
        metadata: Of the file's schema: tells whether another file has taken its place since.
    """

    def __init__(self, file: Path, rows: npt.NDArray[np.int64], metadata: bytes) -> None:
        self.file, self.rows, self.metadata = file, rows, metadata
        self._image: pa.ChunkedArray | None = None

    def __getitem__(self, number: int) -> bytes:
        """The picture as it was encoded."""
        if self._image is None:
            table = map_table(self.file)
            if table.schema.metadata[METADATA_KEY] != self.metadata:
                raise DataError(f"{self.file} was replaced while it was in use; start again")
            self._image = table["image"]
        image: bytes = self._image[int(self.rows[number])].as_py()
        return image

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_image": None}

    def select(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> PackedPictures:
        """The pictures of some of the rows, see `Annotations.select`."""
        return PackedPictures(self.file, self.rows[rows], self.metadata)


def map_table(file: Path) -> pa.Table:
    """The table in a file, mapped into memory. Its pictures are not yet read.

    It is sound in itself: Arrow follows a wrong offset to wherever it leads, out of the memory of
    this process as well.

    Raises:
        DataError: It is not, or no such file.
    """
    try:
        memory = pa.memory_map(str(file))
        table = pa.ipc.open_file(memory).read_all()
        table.validate(full=True)
        memory.seek(_STREAM)  # the schema is there twice
        if not pa.ipc.open_stream(memory).schema.equals(table.schema, check_metadata=True):
            raise pa.ArrowInvalid("two schemas")
        return table
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        what = first_line(error)
        raise DataError(f"{file} is no packed store or damaged ({what}): {REMEDY}") from error
