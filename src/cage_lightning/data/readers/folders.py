"""Pictures in folders by category, under any names, with or without folders of splits."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from cage_lightning.data.formats import advised
from cage_lightning.data.readers.picture_folders import (
    pictures_in,
    refuse_outside,
    visible_folders,
)
from cage_lightning.data.readers.samples import SPLIT_NAMES, Samples, in_order
from cage_lightning.errors import DataError

logger = logging.getLogger(__name__)

LAYOUT = """\
    train|test|val (or Training, PublicTest, validation, ...)/
      {category}/{name}.{jpg,png,...}
  or without splits:
    {category}/{name}.{jpg,png,...}"""


def read_folders(root: Path) -> Samples:
    """Read all pictures below a folder; the name of the folder that each lies in is its category.

    Raises:
        DataError: There are no such folders, two of them are the same split, one of pictures has
            folders in it, or one is a link that leads out of the folder.
    """
    splits = _splits(root)
    for _, parent in splits:
        refuse_outside(root, [parent, *visible_folders(parent)])
    found = [
        (split, folder.name, picture)
        for split, parent in splits
        for folder in visible_folders(parent)
        for picture in sorted(pictures_in(folder))
    ]
    if not found:
        state = "holds no pictures in folders" if root.is_dir() else "is not a folder"
        raise DataError(
            f"{root} {state}:",
            *LAYOUT.splitlines(),
            "Say where they are with data.root=FOLDER, or set CAGE_DATA to the parent folder.",
        )
    for split, parent in splits:
        counts = Counter(name for of, name, _ in found if of == split)
        shown = ", ".join(f"{name} ({counts[name]})" for name in in_order([*counts]))
        logger.info("%s: %sfolders %s", parent, f"{split} split, " if split else "", shown)
    pictures = [picture.relative_to(root).as_posix() for _, _, picture in found]
    return Samples(
        root=root,
        origin=str(root),
        file=[picture for _, _, picture in found],
        place=[""] * len(found),
        picture=pictures,
        split=[split for split, _, _ in found],
        names=[(name,) for _, name, _ in found],
        left_out=_others(splits),
    )


def _others(splits: list[tuple[str, Path]]) -> Counter[tuple[str, str]]:
    """What lies visibly beside the pictures and is not read: (split, which) -> how many."""
    found: Counter[tuple[str, str]] = Counter()
    for split, parent in splits:
        for folder in visible_folders(parent):
            others = {path for path in folder.iterdir() if path.name[0] != "."}
            for path in others.difference(pictures_in(folder)):
                found[
                    split or "train",
                    f"file that is no picture ({advised(path.suffix) or 'no suffix'})",
                ] += 1
    return found


def _splits(root: Path) -> list[tuple[str, Path]]:
    """The folders of the splits by name; the root itself, under no name, if there are none."""
    named: dict[str, Path] = {}
    others = []
    for folder in visible_folders(root):
        split = SPLIT_NAMES.get(folder.name.casefold())
        if split is None or not visible_folders(folder):
            others.append(folder.name)
        elif split in named:
            raise DataError(
                f"{named[split]} and {folder} are both the {split} split: move one away, or put "
                "its pictures into the other"
            )
        else:
            named[split] = folder
    if not named:
        return [("", root)]
    if others:
        logger.warning("%s: not read, as it is no split: %s", root, ", ".join(others))
    return list(named.items())
