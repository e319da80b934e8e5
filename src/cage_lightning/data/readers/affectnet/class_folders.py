"""Image folders, one per category, as AffectNet is often passed on: without valence and arousal."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cage_lightning.data.formats import PICTURE_SUFFIXES, is_passed_over, is_picture, other_files
from cage_lightning.data.readers.affectnet.release import Release
from cage_lightning.data.readers.single_label import Rows
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8, SYNONYMS

# Folder names in any case; the first of a split that is there.
SPLITS = {"train": ("train",), "test": ("test", "val", "valid", "validation")}

CODE_OF_NAME = {
    name: code
    for code, category in enumerate(AFFECTNET_8.categories)
    for name in SYNONYMS[category]
}
CODE_OF_DIGIT = {str(code): code for code in range(len(AFFECTNET_8.categories))}


def _find(root: Path, split: str) -> Path | None:
    folders = {path.name.lower(): path for path in _folders(root)}
    there = (folders[name] for name in SPLITS[split] if name in folders)
    return next((folder for folder in there if _folders(folder)), None)


def _read(root: Path, source: Path) -> Rows:
    classes = _folders(source)
    codes = _codes(source, [folder.name for folder in classes])
    pictured = [_pictures(folder) for folder in classes]
    found = sorted(
        (path.relative_to(root).as_posix(), code)
        for paths, code in zip(pictured, codes, strict=True)
        for path in paths
    )
    if not found:
        raise DataError(f"{source} holds no pictures ({', '.join(PICTURE_SUFFIXES)}).")
    pictures = [picture for picture, _ in found]
    return Rows(
        id=_ids(pictures),
        picture=pictures,
        label=np.array([[code] for _, code in found], dtype=np.float64),
        where=lambda row, _: str(root / pictures[row]),
        left_out=_left_out(
            source, [f for f, paths in zip(classes, pictured, strict=True) if not paths]
        ),
    )


def _left_out(source: Path, without: list[Path]) -> Counter[str]:
    """What lies beside the categories, and in those without a picture: no row leads to it."""
    beside = sum(path.is_file() for path in _visible_pictures(source))
    others = other_files(path.name for folder in without for path in folder.iterdir())
    return Counter({"picture without label": beside}) + others


def _ids(pictures: list[str]) -> npt.NDArray[np.str_]:
    """The paths without their endings, but of files that differ in nothing else the whole paths."""
    names = [picture.rpartition(".")[0] for picture in pictures]
    times = Counter(names)
    return np.array(
        [
            name if times[name] == 1 else picture
            for name, picture in zip(names, pictures, strict=True)
        ],
        np.str_,
    )


def _codes(source: Path, names: list[str]) -> list[int]:
    """The code of each folder name, or an error: an order by index is never guessed."""
    if all(name.isdecimal() for name in names):
        # Other datasets number the same categories from 1, in another order (RAF-DB).
        if "0" in names and CODE_OF_DIGIT.keys() >= set(names):
            return [CODE_OF_DIGIT[name] for name in names]
        raise DataError(
            f"{source}: the folders {', '.join(names)} are not the codes of AffectNet, 0 to 7 "
            f"with 0 for Neutral. Rename them to {', '.join(AFFECTNET_8.categories)}."
        )
    # An exported folder may carry its index: 0_neutral. The name alone counts.
    plain = [re.sub(r"^\d+[ _.-]+", "", name).lower() for name in names]
    for name, key in zip(names, plain, strict=True):
        if key not in CODE_OF_NAME:
            raise DataError(
                f"{source / name}: {name!r} is not the name of a category. Rename the folder to "
                f"one of {', '.join(CODE_OF_NAME)}, or all folders to the codes 0 to 7."
            )
    return [CODE_OF_NAME[key] for key in plain]


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    visible = (path for path in parent.iterdir() if not path.name.startswith("."))
    return sorted(path for path in visible if path.is_dir())


def _pictures(folder: Path) -> list[Path]:
    """Visible pictures of one category."""
    if inner := _folders(folder):
        raise DataError(f"{inner[0]}: a folder of pictures holds no folders. Move its pictures up.")
    return _visible_pictures(folder)


def _visible_pictures(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if is_picture(p.name) and not is_passed_over(p.name)]


CLASS_FOLDERS = Release(
    "    train|test|val|valid|validation/\n"
    "      Neutral|Happiness|Sadness|... (or 0|1|...|7)/{name}.{jpg,png,...}",
    _find,
    _read,
)
