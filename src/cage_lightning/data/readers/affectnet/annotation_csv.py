"""CSV: one file per split, next to the pictures of the release of 2021."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cage_lightning.data.files import first_file
from cage_lightning.data.readers.affectnet.affectnet2021 import FOLDERS
from cage_lightning.data.readers.affectnet.release import Release, numbered_pictures
from cage_lightning.data.readers.csv_table import read_table
from cage_lightning.data.readers.single_label import COLUMNS, Rows
from cage_lightning.errors import DataError

SUFFIX = "_annotation_without_lnd.csv"


def _find(root: Path, split: str) -> Path | None:
    name = FOLDERS[split] + SUFFIX
    return first_file(root, [f"affectnet_annotations/{name}", name])


def _read(root: Path, source: Path) -> Rows:
    _, rows = read_table(source, ("number", *COLUMNS), lambda texts: [*map(float, texts)])
    table = np.array(rows)
    table = table[np.argsort(table[:, 0])]
    whole = (table[:, 0] >= 0) & (table[:, 0] < 2**53) & (table[:, 0] == np.floor(table[:, 0]))
    if not whole.all():
        raise DataError(f"{source}: number {table[~whole, 0][0]} is not the number of a picture.")
    number = table[:, 0].astype(np.int64)
    if (twice := np.diff(number) == 0).any():
        raise DataError(f"{source}: number {number[1:][twice][0]} occurs twice.")
    images = root / source.name.removesuffix(SUFFIX) / "images"
    return Rows(
        *numbered_pictures(root, images, [str(n) for n in number.tolist()]),
        label=table[:, 1:],
        where=lambda row, _: f"{source}, number {number[row]}",
    )


ANNOTATION_CSV = Release(
    f"    [affectnet_annotations/]train_set|val_set{SUFFIX}\n"
    "    train_set|val_set/images/{N}.jpg",
    _find,
    _read,
)
