"""CSV: one file per split, next to the pictures of the release of 2021."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from cage_lightning.data.files import first_file
from cage_lightning.data.readers.affectnet.affectnet2021 import FOLDERS
from cage_lightning.data.readers.affectnet.release import Release, numbered_pictures
from cage_lightning.data.readers.single_label import COLUMNS, Rows
from cage_lightning.errors import DataError
from cage_lightning.system.delimited import read_rows, with_point

SUFFIX = "_annotation_without_lnd.csv"
NAMES = ("number", *COLUMNS)

_DIGITS = re.compile(r"[0-9]+")


def _find(root: Path, split: str) -> Path | None:
    name = FOLDERS[split] + SUFFIX
    return first_file(root, [f"affectnet_annotations/{name}", name])


def _read(root: Path, source: Path) -> Rows:
    texts, numbers = _table(source)
    table = np.array(numbers)
    whole = (table[:, 0] >= 0) & (table[:, 0] < 2**53) & (table[:, 0] == np.floor(table[:, 0]))
    if not whole.all():
        raise DataError(f"{source}: number {table[~whole, 0][0]} is not the number of a picture.")
    order = np.argsort(table[:, 0])
    table = table[order]
    number = table[:, 0].astype(np.int64)
    if (twice := np.diff(number) == 0).any():
        raise DataError(f"{source}: number {number[1:][twice][0]} occurs twice.")
    images = root / source.name.removesuffix(SUFFIX) / "images"
    # As they are written, with zeros in front, or 4.0 as 4.
    written = [texts[row] for row in order.tolist()]
    stems = [t if _DIGITS.fullmatch(t) else str(int(float(t))) for t in written]
    return Rows(
        *numbered_pictures(root, images, stems),
        label=table[:, 1:],
        where=lambda row, _: f"{source}, number {number[row]}",
    )


def _table(source: Path) -> tuple[list[str], list[list[float]]]:
    """The numbers of the pictures as they are written, and the `NAMES` of each row as numbers."""
    try:
        names, rows, lines, separator = read_rows(source, lambda name: name.casefold() in NAMES)
    except ValueError as error:
        raise DataError(f"{source}: {error}; expected the columns {','.join(NAMES)}") from error
    plain = [name.casefold() for name in names]
    if absent := [name for name in NAMES if name not in plain]:
        raise DataError(
            f"{source}: there is no column {absent[0]!r} in the header {','.join(names)!r}; "
            f"expected the columns {','.join(NAMES)}"
        )
    columns = [plain.index(name) for name in NAMES]
    table = []
    for row, line in zip(rows, lines, strict=True):
        try:
            if len(row) != len(names):
                raise ValueError(f"{len(row)} fields instead of {len(names)}")
            texts = [row[column] for column in columns]
            table.append([float(t if separator == "," else with_point(t)) for t in texts])
        except ValueError as error:
            raise DataError(
                f"{source}, line {line}: {error}; expected numbers in the columns {','.join(NAMES)}"
            ) from error
    if not table:
        raise DataError(f"{source} holds no rows.")
    return [row[columns[0]] for row in rows], table


ANNOTATION_CSV = Release(
    f"    [affectnet_annotations/]train_set|val_set{SUFFIX}\n"
    "    train_set|val_set/images/{N}.jpg",
    _find,
    _read,
)
