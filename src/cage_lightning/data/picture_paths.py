"""The paths of the pictures of a table, in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from numpy.dtypes import StringDType

TEXTS = 1 << 16
"""How many texts are in memory at once as those of Python, which take five times their room."""


class PicturePaths:
    """Paths with ``/`` in between, which read like an array of texts ``[N]``.

    Each folder is kept once: a table has many pictures in few folders, and a name of up to fifteen
    bytes takes sixteen.

    Args:
        folders: What the folders are called, with a ``/`` at the end; that of the root is empty.
        folder: int32 ``[N]``, the number of the folder of each picture.
        name: str ``[N]``, the picture in it.
    """

    def __init__(
        self, folders: Sequence[str], folder: npt.NDArray[np.int32], name: npt.NDArray[np.str_]
    ) -> None:
        self.folders, self.folder, self.name = folders, folder, name
        self.dtype, self.shape = name.dtype, name.shape

    @classmethod
    def of(cls, paths: npt.NDArray[np.str_] | PicturePaths) -> PicturePaths:
        """Of paths ``[N]`` that are text: no surrogates, which stand for bytes that are none."""
        if isinstance(paths, PicturePaths):
            return paths
        folders: dict[str, int] = {}
        folder = np.empty(len(paths), np.int32)
        name: npt.NDArray[Any] = np.empty(len(paths), StringDType())
        for start in range(0, len(paths), TEXTS):
            parts = [path.rpartition("/") for path in paths[start : start + TEXTS].tolist()]
            here = slice(start, start + len(parts))
            folder[here] = [folders.setdefault(up + cut, len(folders)) for up, cut, _ in parts]
            name[here] = [last for *_, last in parts]
        return cls(list(folders), folder, name)

    def __len__(self) -> int:
        return len(self.name)

    @overload
    def __getitem__(self, rows: int) -> str: ...
    @overload
    def __getitem__(self, rows: slice | npt.NDArray[Any]) -> PicturePaths: ...
    def __getitem__(self, rows: int | slice | npt.NDArray[Any]) -> str | PicturePaths:
        """The path of a row, or those of several."""
        if isinstance(rows, slice | np.ndarray):
            return PicturePaths(self.folders, self.folder[rows], self.name[rows])
        folder: str = self.folders[self.folder[rows]]
        return folder + str(self.name[rows])

    def __iter__(self) -> Iterator[str]:
        for folder, name in zip(self.folder, self.name, strict=True):
            yield self.folders[folder] + name

    def tolist(self) -> list[str]:
        """All of them."""
        return list(self)
