"""What the categories of a model are called in data of another label space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cage_lightning.errors import ConfigError
from cage_lightning.labels import LabelSpace, canonical_category
from cage_lightning.system.plain_yaml import read_plain

Meaning = Mapping[str, str | None]
"""The category of the data that each category of a model is; None: the data have none like it."""


def matched(
    model: LabelSpace, data: LabelSpace, mapping: Mapping[Any, Any] | None = None
) -> Meaning:
    """What each category of a model is in data of another label space.

    A category is that of the same name, else the only one that means the same
    (`labels.canonical_category`: an own *happy* is AffectNet's Happiness), else none.

    Args:
        model: The label space of the model.
        data: The label space of the data.
        mapping: What somebody says of some categories of the model: the category of the data, or
            None to leave it out. Several may be one: their probabilities add up.

    Raises:
        ConfigError: A name in the mapping is no category of the model or of the data, or several
            would be one although the model may predict several at once.
    """
    found = {name: _alike(name, model.categories, data.categories) for name in model.categories}
    given: dict[str, str | None] = {}
    for key, value in (mapping or {}).items():
        name = _named(key, model.categories, f"the model ({model.name})")
        if name in given:
            raise ConfigError(f"mapping: {key!r} is {name}, which it names twice")
        given[name] = (
            None if value is None else _named(value, data.categories, f"the data ({data.name})")
        )
    found |= given
    several = [name for name, n in Counter(found.values()).items() if n > 1 and name is not None]
    if several and model.multi_label:
        members = " and ".join(key for key, value in found.items() if value == several[0])
        raise ConfigError(
            f"mapping: {members} would be {several[0]}, but the model may predict both at once, so "
            "their probabilities do not add up: leave one of them out with null"
        )
    return found


def read_mapping(value: Any) -> Mapping[Any, Any] | None:
    """What the setting `mapping` says: a mapping, or the name of a YAML file that holds one.

    Raises:
        ConfigError: It is neither, or the file cannot be read.
    """
    if value is None or isinstance(value, Mapping):
        return value
    if not isinstance(value, str):
        raise ConfigError(f"mapping={value}: {{category of the model: category of the data}}")
    try:
        content = read_plain(Path(value).expanduser())
    except (OSError, ValueError) as error:
        raise ConfigError(f"mapping={value} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"mapping={value} holds no lines like `joy: Happiness`")
    return content


def _alike(name: str, ours: Sequence[str], theirs: Sequence[str]) -> str | None:
    """The one of `theirs` that is called the same, or alone means the same."""
    if name in theirs:
        return name
    meaning = canonical_category(name)
    if meaning is None or _same(meaning, ours) != [name]:
        return None
    alike = _same(meaning, theirs)
    return alike[0] if len(alike) == 1 else None


def _named(text: Any, names: Sequence[str], whose: str) -> str:
    """The category that a text names; a whole number is one that is called so."""
    if text in names or (type(text) is int and str(text) in names):
        return str(text)
    meaning = canonical_category(text) if isinstance(text, str) else None
    alike = [] if meaning is None else _same(meaning, names)
    if len(alike) != 1:
        known = ", ".join(names) or "none"
        raise ConfigError(f"mapping: {text!r} is no category of {whose}; it has {known}")
    return alike[0]


def _same(meaning: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if canonical_category(name) == meaning]
