"""Which pictures of a table cannot be used: broken files, and packed ones that have changed."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import map_files
from cage_lightning.data.images import decode_image
from cage_lightning.errors import DataError

log = logging.getLogger(__name__)

_NAMED = 5  # rows that a message names, at most


def without_broken(table: Annotations) -> Annotations:
    """The rows whose picture can be decoded; the others are counted as ``broken picture``.

    So are rows whose box lies outside their picture. Every row's picture is decoded once to find
    out, in threads (a progress bar is shown for large tables).

    Raises:
        DataError: No row is left.
    """

    def is_whole(row: int) -> bool:
        box = None if table.box is None else table.box[row].tolist()
        try:
            decode_image(table.root / table.path[row], 1, box)
        except DataError:
            return False
        return True

    whole = np.array(map_files(is_whole, range(len(table)), "Checking pictures"), dtype=bool)
    if len(table) and not whole.any():
        raise DataError(f"{table.root}: none of the {len(table)} pictures can be decoded.")
    return _only(table, whole, "broken picture")


def without_changed(table: Annotations) -> Annotations:
    """The rows of a packed store whose picture is as it was packed.

    The others are counted as ``changed picture``, and the first of them named. Every picture is
    read once, in threads.

    Raises:
        DataError: No row is left, or the file was replaced or cut off.
    """
    assert table.packed is not None
    sound, file = table.packed.are_sound(), table.packed.file
    if len(table) and not sound.any():
        raise DataError(f"{file}: each of the {len(table)} pictures has changed: prepare it again")
    if not sound.all():
        rows = table.packed.rows[~sound].tolist()
        more = ", ..." if len(rows) > _NAMED else ""
        log.warning(
            "%s: the pictures of %d rows have changed since they were packed: %s%s; "
            "`python -m cage_lightning.prepare` packs them again",
            *(file, len(rows), ", ".join(map(str, rows[:_NAMED])), more),
        )
    return _only(table, sound, "changed picture")


def _only(table: Annotations, usable: npt.NDArray[np.bool_], reason: str) -> Annotations:
    """The rows that are usable; how many others there are is counted."""
    if usable.all():
        return table
    left_out = {**table.left_out, reason: int((~usable).sum())}
    return replace(table.select(usable), left_out=left_out)
