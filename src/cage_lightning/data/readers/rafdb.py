"""RAF-DB: faces with one basic expression each, without valence and arousal.

Li, Deng and Du 2017, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression
Recognition in the Wild". Its compound expressions are not read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError, first_file, no_release
from cage_lightning.data.formats import is_picture
from cage_lightning.data.readers.single_label import Rows, to_table
from cage_lightning.errors import DataError, check_choice
from cage_lightning.labels import AFFECTNET_7

# Its labels 1 to 7: the categories of AffectNet in another order.
CATEGORIES = ("Surprise", "Fear", "Disgust", "Happiness", "Sadness", "Anger", "Neutral")

LIST = "basic/EmoLabel/list_patition_label.txt"
LAYOUTS = {
    "list": f"    {LIST}\n    basic/Image/aligned/{{name}}_aligned.jpg",
    "folders": "    [DATASET/]train|test|valid/1|2|...|7/{name}_aligned.jpg",
}
# What the folder of a split may be called, in any case; the names of its pictures tell the split.
SPLITS = {"train": ("train",), "test": ("test", "valid", "validation", "val")}

logger = logging.getLogger(__name__)


def read_rafdb(root: Path, split: str, on_error: OnError = "raise") -> Annotations:
    """Read one split of RAF-DB, from its list of labels or from folders named after the labels.

    Args:
        root: Folder that holds ``basic`` (the release), or the folders of the splits or
            ``DATASET`` with them (as it is passed on).
        split: ``train`` or ``test``: how the names of its pictures begin.
        on_error: As in `read_affectnet`.

    Returns:
        The table for `AFFECTNET_7`, in the order of the list or of the names, with NaN for affect.
        Ids are the names in the list without suffix, from the folders as well.

    Raises:
        ConfigError: `split` or `on_error` is not one of the above.
        DataError: Neither layout is there; a line or a folder is not as it should be; a name occurs
            twice; a picture is missing or outside `root`; no row is left.
    """
    check_choice("split", split, ("train", "test"))
    check_choice("on_error", on_error, ("raise", "skip", "keep"))
    source = first_file(root, [LIST])
    if source is not None:
        found = list(_listed(source, split))
    elif (source := _folder(root, split)) is not None:
        found = list(_in_folders(root, source, split))
    else:
        raise no_release("RAF-DB", split, root, LAYOUTS)
    logger.info("RAF-DB %s: reading %s", split, source)
    rows = Rows(
        id=np.array([name for _, name, _, _ in found], np.str_),
        picture=[picture for _, _, picture, _ in found],
        label=np.array([[int(label) - 1] for _, _, _, label in found], np.float64).reshape(-1, 1),
        where=lambda row, _: found[row][0],
    )
    shared = source == root / LIST  # whose splits are in one folder
    return to_table(rows, root, source, AFFECTNET_7, CATEGORIES, on_error, shared)


def _listed(source: Path, split: str) -> Iterator[tuple[str, str, str, str]]:
    """The place in the list, name, picture and label of each face."""
    lines = source.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        where = f"{source}, line {number}"
        match = re.fullmatch(r"((train|test)_\S+)\.jpg\s+([1-7])\s*", line)
        if match is None and line.strip():
            raise DataError(
                f"{where}: {line!r} is not the name of a picture, train_... or test_..., and a "
                f"label from 1 to {len(CATEGORIES)}, as in 'train_00001.jpg 5'"
            )
        if match is not None and match[2] == split:
            yield where, match[1], f"basic/Image/aligned/{match[1]}_aligned.jpg", match[3]


def _folder(root: Path, split: str) -> Path | None:
    """The folder of a split."""
    for parent in (root / "DATASET", root):
        folders = {path.name.casefold(): path for path in parent.glob("[!.]*") if path.is_dir()}
        for name in SPLITS[split]:
            if name in folders:
                return folders[name]
    return None


def _in_folders(root: Path, source: Path, split: str) -> Iterator[tuple[str, str, str, str]]:
    """The file, name, picture and label of each face."""
    # The names tell RAF-DB from other datasets with numbered folders.
    named = re.compile(rf"([1-7])/({split}_\S+)_aligned\.[a-z]+", re.IGNORECASE)
    pictures = (path for path in source.glob("[!.]*/[!.]*") if is_picture(path.name))
    for path in sorted(pictures, key=lambda path: path.name):
        match = named.fullmatch(_below(source, path))
        if match is None:
            raise DataError(
                f"{path}: expected a label from 1 to {len(CATEGORIES)} and the name of a picture, "
                f"as in 5/{split}_00001_aligned.jpg"
            )
        yield str(path), match[2], _below(root, path), match[1]


def _below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
