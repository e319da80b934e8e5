"""What the names of tables tell: of which split they are, and which are parts of one."""

from __future__ import annotations

import re

from cage_lightning.data.readers.samples import SPLIT_NAMES

SHARDS = (".parquet", ".arrow", ".tar")
"""Endings of the tables that hold pictures, of which a split may have several."""

# As the Hugging Face hub numbers the parts of a split: train-00000-of-00002, validation-0000-of-…
_PART = re.compile(r"(.+?)-\d+-of-\d+(?:-[0-9a-f]+)?")
_TAR_PART = re.compile(r"(.*?)[-_]?\d+")


def split_of(path: str) -> str:
    """The split that a file belongs to by its name, else by its folders; empty if they tell none.

    Args:
        path: With ``/`` between folders.
    """
    *folders, name = path.split("/")
    called = [whole_of(name), *reversed(folders)]
    return next(
        (SPLIT_NAMES[one.casefold()] for one in called if one.casefold() in SPLIT_NAMES), ""
    )


def whole_of(name: str) -> str:
    """What the parts of a table have in common in the names of their files, without the ending."""
    stem, _, ending = name.rpartition(".")
    part = _PART.fullmatch(stem) or (_TAR_PART.fullmatch(stem) if ending == "tar" else None)
    return part[1] if part else stem
