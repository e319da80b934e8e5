"""The release of 2021: aligned faces, and three arrays per picture."""

from __future__ import annotations

import io
import math
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cage_lightning.data.files import map_files, read_file
from cage_lightning.data.readers.affectnet.release import (
    Release,
    annotation_suffix,
    matching,
    numbered_pictures,
)
from cage_lightning.data.readers.single_label import COLUMNS, Rows
from cage_lightning.errors import DataError

FOLDERS = {"train": "train_set", "test": "val_set"}
NPY_MAGIC = b"\x93NUMPY\x01\x00"  # format 1.0, the one np.save writes for scalars


def _find(root: Path, split: str) -> Path | None:
    path = root / FOLDERS[split] / "annotations"
    return path if path.is_dir() and annotation_suffix(path) != ".json" else None


def _read(root: Path, source: Path) -> Rows:
    pattern = re.compile(rf"(\d+)_(?:{'|'.join(COLUMNS)})\.npy", re.ASCII)
    names = {match[0] for match in matching(root, source, pattern)}
    # As they are written: some copies have zeros in front.
    stems = sorted({name.partition("_")[0] for name in names}, key=lambda stem: (int(stem), stem))
    if not stems:
        raise DataError(f"{source} holds no annotations ({{N}}_exp.npy, ...).")
    wanted = [f"{stem}_{column}.npy" for stem in stems for column in COLUMNS]
    absent = [name for name in wanted if name not in names]
    if absent:
        raise DataError(
            f"{source}: {len(absent)} of {len(wanted)} annotation files are missing, first "
            f"{', '.join(absent[:3])}. Unpack the release again."
        )
    numbers = map_files(lambda name: _read_npy(source / name), wanted, f"Reading {source}")
    return Rows(
        *numbered_pictures(root, source.parent / "images", stems),
        label=np.array(numbers).reshape(-1, len(COLUMNS)),
        where=lambda row, column: str(source / f"{stems[row]}_{column}.npy"),
    )


def _read_npy(path: Path) -> float:
    """The one number in an npy file, stored as number or text, with any shape of one element."""
    try:
        raw = read_file(path)
        if not raw.startswith(NPY_MAGIC):
            raise ValueError("not an npy file")
        start = len(NPY_MAGIC) + 2 + int.from_bytes(raw[8:10], "little")
        return float(np.frombuffer(raw, _npy_dtype(raw[:start]), count=1, offset=start)[0])
    except Exception as error:  # NumPy's reader of headers lets all kinds of errors through.
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


AFFECTNET_2021 = Release(
    "    train_set|val_set/\n"
    "      images/{N}.jpg\n"
    "      annotations/{N}_exp.npy, {N}_val.npy, {N}_aro.npy",
    _find,
    _read,
)
