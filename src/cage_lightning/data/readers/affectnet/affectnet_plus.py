"""AffectNet+: aligned faces, and one JSON file per picture with a soft label."""

from __future__ import annotations

import json
import math
import re
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
from cage_lightning.data.readers.single_label import NOT_ANNOTATED, Rows
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8

FOLDERS = {"train": "train_set", "test": "validation_set"}
K = len(AFFECTNET_8.categories)
SUBSETS = ("easy", "challenging", "difficult")  # 0, 1, 2
# Our name of a column that describes the face -> theirs.
GROUPS = {"age": "age", "gender": "gender", "ethnicity": "race"}
LARGEST = float(np.finfo(np.float32).max)


def _find(root: Path, split: str) -> Path | None:
    # `root` may hold human_annotated or be it.
    paths = [base / FOLDERS[split] / "annotations" for base in (root / "human_annotated", root)]
    return next((path for path in paths if annotation_suffix(path) == ".json"), None)


def _read(root: Path, source: Path) -> Rows:
    pattern = re.compile(r"(\d+)\.json", re.ASCII)
    stems = sorted((m[1] for m in matching(root, source, pattern)), key=lambda s: (int(s), s))
    if not stems:
        raise DataError(f"{source} holds no annotations ({{N}}.json).")
    names = [f"{stem}.json" for stem in stems]
    rows = map_files(lambda name: _read_json(source / name), names, f"Reading {source}")
    table = np.array([numbers for numbers, _ in rows])
    about = np.array([texts for _, texts in rows], np.str_)
    return Rows(
        *numbered_pictures(root, source.parent / "images", stems),
        label=table[:, :3],
        where=lambda row, _: str(source / names[row]),
        extra={
            "soft_label": table[:, 3:].astype(np.float32),
            **{name: about[:, column] for column, name in enumerate(("subset", *GROUPS))},
        },
    )


def _read_json(path: Path) -> tuple[list[float], list[str]]:
    """Code, valence, arousal and the K values of the soft label; subset and the `GROUPS`."""
    try:
        entry = json.loads(read_file(path))
        code = _number(entry["human-label"])
        if code >= K:  # no category: the rest of the entry does not matter
            numbers = [code, NOT_ANNOTATED, NOT_ANNOTATED, *K * [math.nan]]
            return numbers, ["" for _ in ("subset", *GROUPS)]
        affect = [_number(entry["meta-data"][name]) for name in ("valence", "arousal")]
        subset = _number(entry["subset"])
        if subset not in (0, 1, 2):
            raise ValueError(f"subset is {subset:g}, expected 0 easy, 1 challenging, 2 difficult")
        if not isinstance(entry["soft-label"], list):
            raise TypeError(f"soft-label is {entry['soft-label']!r}, expected {K} numbers")
        soft = [_number(value) for value in entry["soft-label"]]
        if len(soft) != K or not all(abs(value) <= LARGEST for value in soft):
            raise ValueError(f"soft-label is {soft}, expected {K} numbers")
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{path}: {type(error).__name__}: {error}; expected human-label, soft-label, subset "
            "and meta-data with valence and arousal"
        ) from error
    groups = [_text(entry["meta-data"].get(name)) for name in GROUPS.values()]
    return [code, *affect, *soft], [SUBSETS[int(subset)], *groups]


def _text(value: Any) -> str:
    """A text or number as text that every file can hold, the empty one for anything else."""
    known = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value).strip().encode(errors="replace").decode() if known else ""


def _number(value: Any) -> float:
    """A number, also one written as text; true and false would pass for one as well."""
    if isinstance(value, bool):
        raise TypeError(f"{value} is no number")
    return float(value)


AFFECTNET_PLUS = Release(
    "    [human_annotated/]train_set|validation_set/\n"
    "      images/{N}.jpg\n"
    "      annotations/{N}.json",
    _find,
    _read,
)
