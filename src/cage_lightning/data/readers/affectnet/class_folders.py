"""Image folders, one per category, as AffectNet is often passed on: without valence and arousal."""

from __future__ import annotations

import logging
import re
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cage_lightning.data.formats import PICTURE_SUFFIXES, other_files
from cage_lightning.data.readers.affectnet.release import CODES, Release
from cage_lightning.data.readers.picture_folders import pictures_in as _pictures
from cage_lightning.data.readers.picture_folders import refuse_outside, visible_pictures
from cage_lightning.data.readers.picture_folders import visible_folders as _folders
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
CODE_OF_DIGIT = {str(code): code for code in range(len(CODES))}

logger = logging.getLogger(__name__)


def advice(root: Path) -> str | None:
    """What reads the folders of a root that is none of AffectNet's layouts, if anything does."""
    folders = _folders(root)
    if any(_is_yolo(folder) for folder in (root, *folders)):
        return _yolo(root)
    names = [folder.name for folder in folders]
    if sum(_plain(name) in CODE_OF_NAME for name in names) > 1:
        return f"{root} holds folders of categories and none of splits: {_BY_FOLDERS}"
    splits = [f.name for f in folders if any(_plain(n.name) in CODE_OF_NAME for n in _folders(f))]
    if splits:
        return f"{root} has the splits {', '.join(splits)}, not train and test: {_BY_FOLDERS}"
    return None


_BY_FOLDERS = (
    "read it with data=folders data.name=NAME, which takes them as they are and makes splits of "
    "them"
)


def _find(root: Path, split: str) -> Path | None:
    folders = {path.name.lower(): path for path in _folders(root)}
    there = [folders[name] for name in SPLITS[split] if name in folders]
    return next((folder for folder in there if _folders(folder)), None)


def _read(root: Path, source: Path) -> Rows:
    if _is_yolo(source):
        raise DataError(_yolo(source))
    _tell_unread(root, source)
    classes = _folders(source)
    refuse_outside(root, [source, *classes])
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
    beside = sum(path.is_file() for path in visible_pictures(source))
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


def _tell_unread(root: Path, source: Path) -> None:
    """Tell of the folders that would be the test split if it were not `source`."""
    if source.name.lower() in SPLITS["test"]:
        for folder in _folders(root):
            if folder != source and folder.name.lower() in SPLITS["test"]:
                logger.warning(
                    "%s is not read: AffectNet has two splits, and the test split is %s. "
                    "data=folders data.name=NAME reads both, and chooses the epoch on the former",
                    folder,
                    source,
                )


def _codes(source: Path, names: list[str]) -> list[int]:
    """The code of each folder name, or an error: an order by index is never guessed."""
    if all(name.isdecimal() for name in names):
        return _codes_of_digits(source, names)
    # An exported folder may carry its index: 0_neutral. The name alone counts.
    for name in names:
        if _plain(name) not in CODE_OF_NAME:
            raise DataError(
                f"{source / name}: {name!r} is not the name of a category. Rename the folder to "
                f"one of {', '.join(CODE_OF_NAME)}, or all folders to the codes 0 to 7. Or read "
                "them with data=folders data.name=NAME, which takes other categories as well and "
                f"leaves folders out: data.leave_out=[{name}]."
            )
    return [CODE_OF_NAME[_plain(name)] for name in names]


def _codes_of_digits(source: Path, names: list[str]) -> list[int]:
    if "0" in names and CODE_OF_DIGIT.keys() >= set(names):
        codes = [CODE_OF_DIGIT[name] for name in names]
        logger.warning(
            "%s: the numbers are taken for the codes of AffectNet: %s. Other data sets count in "
            "another order: 0 is anger in FER2013 (data=fer2013), and 1 is surprise in RAF-DB "
            "(data=rafdb)",
            source,
            ", ".join(f"{code} {CODES[code]}" for code in sorted(codes)),
        )
        return codes
    found = f"{source}: the folders {', '.join(names)} are not the codes of AffectNet"
    if set(names) <= set("1234567"):
        raise DataError(
            f"{found}, 0 to 7 with 0 for Neutral. RAF-DB counts from 1, in another order, with 1 "
            "for surprise: read it with data=rafdb. Name folders of anything else after what they "
            "show."
        )
    raise DataError(
        f"{found}, 0 to 10 with 0 for Neutral. Rename them to what they show, which may be "
        f"{', '.join(AFFECTNET_8.categories)}."
    )


def _plain(name: str) -> str:
    return re.sub(r"^\d+[ _.-]+", "", name).lower()


def _is_yolo(folder: Path) -> bool:
    """Whether there is a text file of boxes for each picture: images/, labels/."""
    names = {path.name.lower() for path in _folders(folder)}
    return {"images", "labels"} <= names


def _yolo(folder: Path) -> str:
    return (
        f"{folder} is an export for YOLO (images/ and labels/), whose labels/*.txt number the "
        "categories in an order that only its data.yaml tells. Write a table with a row for each "
        "face (picture, category by name, left, top, right, bottom), and read it with data=table."
    )


CLASS_FOLDERS = Release(
    "    train|test|val|valid|validation/\n"
    "      Neutral|Happiness|Sadness|... (or 0|1|...|10)/{name}.{jpg,png,...}",
    _find,
    _read,
)
