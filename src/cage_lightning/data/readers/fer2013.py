"""FER2013: 48-pixel grey faces with one of seven categories, without valence and arousal.

Goodfellow et al. 2013, "Challenges in Representation Learning: A Report on Three Machine Learning
Contests". The competition's list of pixels is read, and the folders that were made of it.
"""

from __future__ import annotations

import logging
import mmap
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError, first_file, no_release
from cage_lightning.data.formats import is_passed_over, is_picture
from cage_lightning.data.readers.fer2013_pixels import CATEGORIES, unpacked
from cage_lightning.data.readers.single_label import Rows, to_table
from cage_lightning.errors import DataError, check_choice
from cage_lightning.labels import AFFECTNET_7, canonical_category, own_space

FER2013 = own_space("fer2013", AFFECTNET_7.categories, ())
"""The categories of AffectNet but for contempt, in its order, which is not that of the codes."""

LISTS = ("fer2013.csv", "icml_face_data.csv", "fer2013/fer2013.csv")
# Folder names in any case; the first that is there. What the names say of the public and the
# private test split of the competition counts for files as well: PublicTest_10116449.jpg.
TRAIN = ("train", "training")
PUBLIC = ("publictest", "val", "valid", "validation")
PRIVATE = ("privatetest", "test", "testing")
LAYOUTS = {
    "list": "    " + "|".join(LISTS) + "\n      emotion,pixels,Usage",
    "folders": (
        "    train|Training/, test|PublicTest|PrivateTest|.../\n"
        "      angry|disgust|fear|happy|neutral|sad|surprise (or 0|1|...|6)/{name}.{jpg,png,...}"
    ),
}

logger = logging.getLogger(__name__)


class Part(NamedTuple):
    """Where the pictures of a split lie: in the folders of a folder, under names that begin so."""

    folder: Path
    prefix: str = ""


def splits_of(root: Path) -> tuple[str, ...]:
    """The splits of the FER2013 under a root; without any, those that one might expect."""
    source = first_file(root, LISTS)
    if source is None:
        found = _parts(root)
        return tuple(
            split for split in ("train", "val", "test") if split in found or split != "val"
        )
    if not source.stat().st_size:  # which cannot be mapped; reading it says what is wrong
        return ("train", "test")
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        private = text.rfind(b"PrivateTest") >= 0
    return ("train", "val", "test") if private else ("train", "test")


def read_fer2013(root: Path, split: str, on_error: OnError = "raise") -> Annotations:
    """Read one split of FER2013.

    The test split is PrivateTest and ``val`` PublicTest; where there is no PrivateTest, the test
    split is PublicTest. A folder ``test`` that holds both is told apart by the names of its files.

    A list of pixels is unpacked once, into the hidden folder ``.pictures`` under the root; see
    `fer2013_pixels.unpacked`.

    Args:
        root: Folder that holds the list, or the folders of the splits.
        split: One of `splits_of`.
        on_error: As in `read_affectnet`.

    Returns:
        The table for `FER2013`, in the order of the ids: the names of the files without suffix, but
        the paths of those of which one occurs twice. From a list they are ``fer0000000`` and so on
        by its rows, as in FER+.

    Raises:
        ConfigError: `on_error` is not one of the above.
        DataError: Neither list nor folders are there, or they lack the split; a row or a folder is
            not as it should be; a picture is outside `root`; no row is left.
        OutputError: The pictures of a list cannot be unpacked under `root`.
    """
    check_choice("on_error", on_error, ("raise", "skip", "keep"))
    source = first_file(root, LISTS)
    part = _parts(root if source is None else unpacked(source, root)).get(split)
    if part is None:
        raise no_release("FER2013", split, root, LAYOUTS)
    logger.info("FER2013 %s: reading %s", split, source or part.folder)
    found = list(_pictures(part))
    pictures = [path.relative_to(root).as_posix() for path, _ in found]
    ids = _ids(pictures)
    order = np.argsort(ids, kind="stable").tolist()
    rows = Rows(
        id=ids[order],
        picture=[pictures[i] for i in order],
        label=np.array([[CATEGORIES.index(found[i][1])] for i in order], np.float64).reshape(-1, 1),
        where=lambda row, _: str(root / pictures[order[row]]),
    )
    shared = part.prefix != ""
    return to_table(rows, root, source or part.folder, FER2013, CATEGORIES, on_error, shared)


def _ids(pictures: list[str]) -> npt.NDArray[np.str_]:
    stems = [Path(picture).stem for picture in pictures]
    times = Counter(stems)
    named = zip(stems, pictures, strict=True)
    return np.array([stem if times[stem] == 1 else picture for stem, picture in named], np.str_)


def _parts(base: Path) -> dict[str, Part]:
    """The splits whose folders lie in a folder."""
    folders = {path.name.casefold(): path for path in _folders(base) if _folders(path)}
    train, public, private = (
        next((Part(folders[name]) for name in names if name in folders), None)
        for names in (TRAIN, PUBLIC, PRIVATE)
    )
    if private is not None and public is None and _begin(private.folder) == {"Public", "Private"}:
        public, private = (Part(private.folder, f"{of}Test_") for of in ("Public", "Private"))
    if private is None:
        public, private = None, public
    found = {"train": train, "val": public, "test": private}
    return {split: part for split, part in found.items() if part is not None}


def _begin(folder: Path) -> set[str]:
    """Which test split the names of the files of a split begin with, "" for those with neither."""
    names = (path.name for category in _folders(folder) for path in category.iterdir())
    match = re.compile(r"(Public|Private)Test_").match
    return {found[1] if (found := match(name)) else "" for name in names if is_picture(name)}


def _pictures(part: Part) -> Iterator[tuple[Path, str]]:
    """The pictures of a split with their categories."""
    folders = _folders(part.folder)
    categories = _categories(part.folder, [folder.name for folder in folders])
    for folder, category in zip(folders, categories, strict=True):
        for path in folder.iterdir():
            name = path.name
            if is_picture(name) and not is_passed_over(name) and name.startswith(part.prefix):
                yield path, category


def _categories(source: Path, names: list[str]) -> list[str]:
    """The category of each folder name."""
    if set(names) <= set("0123456"):
        found = [CATEGORIES[int(name)] for name in names]
        mapping = ", ".join(map(" ".join, zip(names, found, strict=True)))
        logger.info("%s: the numbers are the codes of FER2013: %s", source, mapping)
        return found
    found = [canonical_category(re.sub(r"^\d+[ _.-]+", "", name)) or "" for name in names]
    for name, category in zip(names, found, strict=True):
        if category not in CATEGORIES:
            raise DataError(
                f"{source / name}: {name!r} is no category of FER2013: expected "
                f"{', '.join(CATEGORIES)}, or 0 to 6 in that order. data=folders "
                "data.name=NAME reads other categories as well"
            )
    return found


def _folders(parent: Path) -> list[Path]:
    visible = (path for path in parent.glob("*") if not path.name.startswith("."))
    return sorted(path for path in visible if path.is_dir())
