"""AffectNet, in the layouts it is found in on disk, as one annotation table.

Codes: 0-7 are the categories of `AFFECTNET_8`, 8 None, 9 Uncertain, 10 No face. Valence and
arousal lie in [-1, 1]; -2 stands for "not annotated" (Mollahosseini et al. 2017, section 3).
"""

from __future__ import annotations

import csv
import io
import logging
import math
import operator
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import map_files
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import AFFECTNET_8, LabelSpace

CODES = (*AFFECTNET_8.categories, "None", "Uncertain", "No face")
NOT_ANNOTATED = -2.0
COLUMNS = ("exp", "val", "aro")
FOLDERS = {"train": "train_set", "test": "val_set"}

logger = logging.getLogger(__name__)


class Rows(NamedTuple):
    """What a release says about one split, as it says it, sorted by number.

    Attributes:
        number: int64 ``[N]``, unique.
        picture: N paths relative to the root.
        label: float64 ``[N, 3]``, the `COLUMNS`.
        where: (number, column) -> the place a person would look at, for messages.
    """

    number: npt.NDArray[np.int64]
    picture: list[str]
    label: npt.NDArray[np.float64]
    where: Callable[[int, str], str]


class Release(NamedTuple):
    """A layout on disk.

    Attributes:
        layout: What it looks like, for messages.
        find: (root, split folder) -> the file or folder with the annotations, None if not there.
        read: (that file or folder, split folder) -> its rows.
    """

    layout: str
    find: Callable[[Path, str], Path | None]
    read: Callable[[Path, str], Rows]


def read_affectnet(
    root: Path,
    split: str,
    space: LabelSpace,
    release: str = "auto",
    on_error: str = "raise",
) -> Annotations:
    """Read one split of AffectNet.

    Rows that `space` does not cover (Contempt for `AFFECTNET_7`, the codes 8-10) or that have no
    valence or arousal are left out and counted in ``left_out``, as are pictures nobody labelled.

    Args:
        root: Folder that holds the release.
        split: ``train``, or ``test``: the official validation split.
        space: `AFFECTNET_8` or `AFFECTNET_7`.
        release: A name in `RELEASES`; ``auto`` takes the first one found, so that the arrays of
            the release itself come before CSV files derived from them.
        on_error: ``raise``, or ``skip`` to leave out rows without a picture and count them.

    Returns:
        The table, sorted by picture number; ids are those numbers.

    Raises:
        ConfigError: `split`, `space`, `release` or `on_error` is not one of the above.
        DataError: No release is there; an annotation is no number, incomplete or out of range; a
            picture is missing; no row is left.
    """
    _check_choice("split", split, FOLDERS)
    _check_choice("release", release, ("auto", *RELEASES))
    _check_choice("on_error", on_error, ("raise", "skip"))
    if space.dimensions != AFFECTNET_8.dimensions or not set(space.categories) <= set(CODES):
        raise ConfigError(f"AffectNet is not labelled for {space.name!r}: use affectnet8 or 7.")

    source, read = _find(root, FOLDERS[split], release)
    rows = read(source, FOLDERS[split])
    code, affect = _checked_labels(rows)

    names = space.categories
    category = np.array([names.index(c) if c in names else -1 for c in CODES])[code]
    reason = np.array([c.lower() for c in CODES], dtype=object)[code]
    reason[category >= 0] = ""
    reason[(reason == "") & (affect == NOT_ANNOTATED).any(axis=1)] = "no valence or arousal"
    present = _list_pictures(root, rows.picture)
    absent = np.array([picture not in present for picture in rows.picture]) & (reason == "")
    if absent.any() and on_error == "raise":
        first = ", ".join(rows.picture[i] for i in np.flatnonzero(absent)[:3])
        raise DataError(
            f"{int(absent.sum())} of {len(absent)} pictures named by {source} are missing under "
            f"{root}, first {first}. Restore them, or leave them out with data.on_error=skip."
        )
    reason[absent] = "missing picture"
    left_out = Counter(reason[reason != ""].tolist())
    left_out["picture without label"] = len(present.difference(rows.picture))

    take = np.flatnonzero(reason == "")
    if not take.size:
        raise DataError(f"{source}: no row is left for {space.name}; left out: {dict(left_out)}")
    return Annotations(
        space=space,
        root=root,
        id=rows.number[take].astype(np.str_),
        path=np.array(rows.picture, np.str_)[take],
        category=category[take].astype(np.int64),
        affect=affect[take].astype(np.float32),
        left_out={reason: n for reason, n in sorted(left_out.items()) if n},
    )


def _check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise ConfigError(f"{name}={value!r}: choose one of {', '.join(choices)}.")


def _find(root: Path, folder: str, release: str) -> tuple[Path, Callable[[Path, str], Rows]]:
    """Where the annotations are and what reads them."""
    tried = RELEASES if release == "auto" else {release: RELEASES[release]}
    found = {name: path for name, r in tried.items() if (path := r.find(root, folder))}
    if not found:
        state = "has none of these layouts" if root.is_dir() else "is not a folder"
        layouts = "\n".join(f"  {name}:\n{r.layout}" for name, r in tried.items())
        raise DataError(
            f"No AffectNet annotations for {folder}: {root} {state}:\n{layouts}\n"
            f"Say where they are with data.root=FOLDER, or set CAGE_DATA to the parent folder."
        )
    name, *others = found
    hint = f" (release={others[0]} is there too)" if others else ""
    logger.info("AffectNet %s: reading release %s at %s%s", folder, name, found[name], hint)
    return found[name], tried[name].read


def _checked_labels(rows: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Codes ``[N]`` and affect ``[N, 2]``, or an error that names the first bad value."""
    code, affect = rows.label[:, 0], rows.label[:, 1:]
    good_affect = (np.abs(affect) <= 1) | (affect == NOT_ANNOTATED)
    bad = ~np.column_stack([np.isin(code, range(len(CODES))), good_affect])
    if bad.any():
        row, column = np.argwhere(bad)[0]
        name = COLUMNS[column]
        raise DataError(
            f"{rows.where(int(rows.number[row]), name)}: {name} is {rows.label[row, column]}, "
            f"expected {'a code from 0 to 10' if name == 'exp' else 'a value in [-1, 1], or -2'} "
            f"({int(bad.any(axis=1).sum())} such rows of {len(bad)})"
        )
    return code.astype(np.int64), affect


def _list_pictures(root: Path, pictures: list[str]) -> set[str]:
    """JPEG files in the folders that `pictures` lie in: one scan per folder, not per picture."""
    folders = {picture.rpartition("/")[0] for picture in pictures}
    return {
        f"{folder}/{entry.name}"
        for folder in folders
        if (root / folder).is_dir()
        for entry in os.scandir(root / folder)
        if entry.name.endswith(".jpg") and not entry.name.startswith(".")
    }


def _numbered_pictures(folder: str, number: npt.NDArray[np.int64]) -> list[str]:
    return [f"{folder}/images/{n}.jpg" for n in number.tolist()]


# --- the release of 2021: three arrays per picture ----------------------------------------------

NPY_MAGIC = b"\x93NUMPY\x01\x00"  # format 1.0, the one np.save writes for scalars


def _find_2021(root: Path, folder: str) -> Path | None:
    path = root / folder / "annotations"
    return path if path.is_dir() else None


def _read_2021(source: Path, folder: str) -> Rows:
    pattern = re.compile(rf"(\d+)_(?:{'|'.join(COLUMNS)})\.npy", re.ASCII)
    names = {entry.name for entry in os.scandir(source) if pattern.fullmatch(entry.name)}
    number = np.array(sorted({int(name.partition("_")[0]) for name in names}), dtype=np.int64)
    if not number.size:
        raise DataError(f"{source} holds no annotations ({{N}}_exp.npy, ...).")
    wanted = [f"{n}_{column}.npy" for n in number.tolist() for column in COLUMNS]
    absent = [name for name in wanted if name not in names]
    if absent:
        raise DataError(
            f"{source}: {len(absent)} of {len(wanted)} annotation files are missing, first "
            f"{', '.join(absent[:3])}. Unpack the release again."
        )
    numbers = map_files(lambda name: _read_npy(source / name), wanted, f"Reading {source}")
    label = np.array(numbers).reshape(-1, len(COLUMNS))
    pictures = _numbered_pictures(folder, number)
    return Rows(number, pictures, label, lambda n, column: str(source / f"{n}_{column}.npy"))


def _read_npy(path: Path) -> float:
    """The one number in an npy file, stored as number or text, with any shape of one element."""
    try:
        raw = path.read_bytes()
        if not raw.startswith(NPY_MAGIC):
            raise ValueError("not an npy file")
        start = len(NPY_MAGIC) + 2 + int.from_bytes(raw[8:10], "little")
        return float(np.frombuffer(raw, _npy_dtype(raw[:start]), count=1, offset=start)[0])
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no number in there: {error}") from error


@lru_cache
def _npy_dtype(header: bytes) -> np.dtype[Any]:
    """Type of a one-element array. Cached: a release has a handful of headers, np.load parses all.

    A pickled array (dtype object) is refused here and never loaded.
    """
    stream = io.BytesIO(header)
    np.lib.format.read_magic(stream)
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if math.prod(shape) != 1 or dtype.kind not in "USiuf":
        raise ValueError(f"an array of shape {shape} and type {dtype}")
    return dtype


# --- CSV: one file per split next to the pictures of 2021 ----------------------------------------


def _find_csv(root: Path, folder: str) -> Path | None:
    name = f"{folder}_annotation_without_lnd.csv"
    paths = (root / "affectnet_annotations" / name, root / name)
    return next((path for path in paths if path.is_file()), None)


def _read_csv(source: Path, folder: str) -> Rows:
    wanted = ("number", *COLUMNS)
    with source.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            pick = operator.itemgetter(*map(header.index, wanted))
            table = np.array([[float(text) for text in pick(row)] for row in reader if row])
        except (ValueError, IndexError, csv.Error) as error:
            raise DataError(
                f"{source}, line {reader.line_num}: {error}; expected numbers in the columns "
                f"{','.join(wanted)}"
            ) from error
    if not table.size:
        raise DataError(f"{source} holds no rows.")
    table = table[np.argsort(table[:, 0])]
    whole = (table[:, 0] >= 0) & (table[:, 0] < 2**53) & (table[:, 0] == np.floor(table[:, 0]))
    if not whole.all():
        raise DataError(f"{source}: number {table[~whole, 0][0]} is not the number of a picture.")
    number = table[:, 0].astype(np.int64)
    if (twice := np.diff(number) == 0).any():
        raise DataError(f"{source}: number {number[1:][twice][0]} occurs twice.")
    pictures = _numbered_pictures(folder, number)
    return Rows(number, pictures, table[:, 1:], lambda n, _: f"{source}, number {n}")


RELEASES: dict[str, Release] = {
    "affectnet2021": Release(
        "    train_set|val_set/\n"
        "      images/{N}.jpg\n"
        "      annotations/{N}_exp.npy, {N}_val.npy, {N}_aro.npy",
        _find_2021,
        _read_2021,
    ),
    "csv": Release(
        "    [affectnet_annotations/]train_set|val_set_annotation_without_lnd.csv\n"
        "    train_set|val_set/images/{N}.jpg",
        _find_csv,
        _read_csv,
    ),
}
