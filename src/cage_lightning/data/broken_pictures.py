"""Which pictures of a table cannot be decoded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import map_files
from cage_lightning.data.images import decode_image
from cage_lightning.errors import DataError


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
    if whole.all():
        return table
    if not whole.any():
        raise DataError(f"{table.root}: none of the {len(table)} pictures can be decoded.")
    left_out = {**table.left_out, "broken picture": int((~whole).sum())}
    return replace(table.select(whole), left_out=left_out)
