"""Which column of a table has which meaning."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cage_lightning.data.readers.table.raw import RawTable
from cage_lightning.errors import ConfigError, DataError, check_choice

logger = logging.getLogger(__name__)

# What a column is called where nothing is said, the most telling name first.
GUESSES: Mapping[str, tuple[str, ...]] = {
    "picture": (
        *("picture", "image", "path", "file", "filename", "file_name", "filepath", "file_path"),
        *("image_path", "image_file", "image_name", "img", "img_path", "img_name", "pic"),
        *("photo", "frame", "bild", "bilddatei", "datei", "dateiname", "pfad"),
    ),
    "id": ("id", "sample_id", "image_id", "sample"),
    "category": (
        *("category", "categories", "label", "labels", "emotion", "emotions", "expression"),
        *("expressions", "class", "classes", "cls", "kategorie", "kategorien", "gefuehl", "gefühl"),
    ),
    "split": ("split", "usage", "partition", "subset", "set", "fold"),
    "box": ("box", "bbox", "face_box", "bounding_box"),
    "left": ("left", "x1", "xmin", "x_min"),
    "top": ("top", "y1", "ymin", "y_min"),
    "right": ("right", "x2", "xmax", "x_max"),
    "bottom": ("bottom", "y2", "ymax", "y_max"),
}
# Never guessed: a column of this name mostly describes the whole picture.
ROLES = (*GUESSES, "width", "height")

AFFECT_GUESSES: Mapping[str, tuple[str, ...]] = {
    "valence": ("valence", "val", "valenz"),
    "arousal": ("arousal", "aro", "erregung"),
    "dominance": ("dominance", "dom", "dominanz"),
}
GROUP_GUESSES: Mapping[str, tuple[str, ...]] = {
    "age": ("age", "alter"),
    "gender": ("gender", "sex", "geschlecht"),
    "ethnicity": ("ethnicity", "race"),
    "person": (
        *("person", "person_id", "subject", "subject_id", "participant", "participant_id"),
        *("identity", "actor", "actor_id", "proband", "versuchsperson"),
    ),
    "video": ("video", "video_id", "video_name", "clip", "clip_id"),
}
_ALL = {
    name for group in (GUESSES, AFFECT_GUESSES, GROUP_GUESSES) for g in group.values() for name in g
}


@dataclass(frozen=True)
class Columns:
    """The columns of one table by their meaning: our name -> that in the file.

    Attributes:
        roles: Those of `ROLES` that the table has, but for the category.
        categories: The columns of the category: one, or one for each; none.
        affect: By dimension, in their order.
        soft: By category, in their order.
        groups: By group.
    """

    roles: Mapping[str, str]
    categories: Sequence[str]
    affect: Mapping[str, str]
    soft: Mapping[str, str]
    groups: Mapping[str, str]


def plain(name: str) -> str:
    """A name without case and punctuation: ``Image Path`` is ``image_path``."""
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def is_guessed(name: str) -> bool:
    """Whether a column of this name is known without being told."""
    return plain(name) in _ALL


def find_columns(
    table: RawTable,
    columns: Mapping[str, Any],
    affect: Any = None,
    soft: Any = None,
    groups: Any = None,
) -> Columns:
    """Find the columns that the settings name, and those with obvious names for the others.

    Args:
        table: The table.
        columns: Of `ROLES`, what the table calls them; null: an obvious name, if there is one;
            empty text: there is none.
        affect: Names of dimensions that are columns, or dimension -> column; null: obvious ones.
        soft: Names of categories that are columns, or category -> column; null: none.
        groups: As `affect`.

    Raises:
        ConfigError: There is no such column or setting, or two columns have that name.
        DataError: The table says nothing about where the pictures are.
    """
    for role in columns:
        check_choice("data.columns", role, ROLES)
    finder = _Finder(table)
    roles = {}
    for role in ROLES:
        guesses = GUESSES.get(role, ())
        if role != "category" and (
            there := finder.find(f"data.columns.{role}", columns.get(role), guesses)
        ):
            roles[role] = there
    category = columns.get("category")
    if isinstance(category, Sequence) and not isinstance(category, str):
        named = [finder.named("data.columns.category", name) for name in category]
    else:
        one = finder.find("data.columns.category", category, () if soft else GUESSES["category"])
        named = [one] if one else []
    if "picture" not in roles and columns.get("picture") is None and len(table.embedded) == 1:
        roles["picture"] = next(iter(table.embedded))
    if "picture" not in roles:
        raise DataError(
            f"{table.file}: which column has the paths of the pictures? It has "
            f"{', '.join(table.names)}: set data.columns.picture=NAME"
        )
    found = Columns(
        roles,
        named,
        finder.several("data.affect", affect, AFFECT_GUESSES),
        finder.several("data.soft", soft or (), {}),
        finder.several("data.groups", groups, GROUP_GUESSES),
    )
    _check_box(table.file, roles)
    told = {**roles, "category": ", ".join(named), **found.affect, **found.soft, **found.groups}
    shown = ", ".join(f"{ours}: {theirs!r}" for ours, theirs in told.items() if theirs)
    logger.info("%s: columns %s", table.file, shown)
    unused = [name for name in table.names if name not in {*told.values(), *named}]
    if unused:
        logger.info("%s: not used: %s", table.file, ", ".join(unused))
    return found


def _check_box(file: Path, roles: Mapping[str, str]) -> None:
    corner = [role for role in ("left", "top") if role in roles]
    ends = [
        [role for role in pair if role in roles]
        for pair in (("right", "width"), ("bottom", "height"))
    ]
    if "box" in roles or not (corner or any(ends)):
        return
    if len(corner) < 2 or any(len(end) != 1 for end in ends):
        there = ", ".join(f"{role}: {roles[role]!r}" for role in ROLES[4:] if role in roles)
        raise ConfigError(
            f"{file}: a box needs left, top, right (or width) and bottom (or height), and the "
            f"table has {there}: name the others in data.columns, or set those to ''"
        )


class _Finder:
    """The columns of a table by name."""

    def __init__(self, table: RawTable) -> None:
        self.table = table

    def find(self, key: str, given: Any, guesses: Sequence[str]) -> str | None:
        """The column that a setting names or, where it is null, the first one called as guessed."""
        if given is not None:
            return self.named(key, given) if given != "" else None
        for guess in guesses:
            if fitting := [name for name in self.table.names if plain(name) == guess]:
                return self._only(key, fitting)
        return None

    def named(self, key: str, given: Any) -> str:
        """The column of a name, by which case and punctuation do not matter if it stays clear."""
        given, names = str(given), self.table.names
        exact = [name for name in names if name == given]
        fitting = exact or [name for name in names if plain(name) == plain(given)]
        if not fitting:
            raise ConfigError(
                f"{key}={given}: {self.table.file} has no such column; it has {', '.join(names)}"
            )
        return self._only(key, fitting)

    def several(
        self, key: str, given: Any, guesses: Mapping[str, tuple[str, ...]]
    ) -> dict[str, str]:
        """Our names -> columns: as a setting lists or maps them, or where it is null as guessed."""
        if given is None:
            found = {ours: self.find(key, None, names) for ours, names in guesses.items()}
            return {ours: column for ours, column in found.items() if column}
        pairs = given.items() if isinstance(given, Mapping) else [(name, name) for name in given]
        return {str(ours): self.named(key, theirs) for ours, theirs in pairs}

    def _only(self, key: str, fitting: list[str]) -> str:
        if len(fitting) > 1:
            raise ConfigError(
                f"{self.table.file}: {key}: the columns {' and '.join(map(repr, fitting))} are "
                "called the same: rename one in the file"
            )
        return fitting[0]
