"""Columns of a prediction file, as others may have written them, to `Predictions`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import (
    AFFECTNET_7,
    AFFECTNET_8,
    EMOTIC,
    LABEL_SPACES,
    LabelSpace,
    canonical_category,
)
from cage_lightning.predictions.table import Categories, Floats, Predictions
from cage_lightning.training_statistics import TrainingStatistics

_LARGEST = np.finfo(np.float32).max
_SEPARATOR = ";"  # of the categories of a sample in a CSV file, where several may apply
_PROBABILITY = "prob_"
GROUP = "group_"
NOTHING = ("", "nan", "na", "n/a", "none", "null")  # texts that stand for no value

# The published inference.csv -> the names of ours.
PUBLISHED = {
    "cat_true": "category_true",
    "cat_pred": "category_pred",
    "val_true": "valence_true",
    "val_pred": "valence_pred",
    "aro_true": "arousal_true",
    "aro_pred": "arousal_pred",
}
_OURS = (
    *("id", "category_true", "category_pred"),
    *(f"{dimension}_{side}" for dimension in EMOTIC.dimensions for side in ("true", "pred")),
)


@dataclass(frozen=True)
class Columns:
    """The columns of a file under our names.

    Attributes:
        path: The file, for messages.
        values: The values of each column; None where there is none.
        there: What the file itself calls its columns.
    """

    path: Path
    values: Mapping[str, list[Any]]
    there: tuple[str, ...]

    @classmethod
    def of(
        cls,
        path: Path,
        columns: Iterable[tuple[str, list[Any]]],
        order: Sequence[str] = (),
        own: Sequence[str] = (),
    ) -> Columns:
        """Sort the columns of a file.

        Args:
            path: The file.
            columns: Names in the file, and values; texts that stand for none become None.
            order: What the numbers of the categories mean.
            own: The categories of a file that names them itself.

        Raises:
            DataError: Two columns have the same meaning.
        """
        values: dict[str, list[Any]] = {}
        names: dict[str, str] = {}
        for there, column in columns:
            name = our_name(there, order, own)
            if name in values and (is_known(there) or name.startswith(_PROBABILITY)):
                raise DataError(
                    f"{path}: the column {name!r} is there twice, as {names[name]!r} and as "
                    f"{there!r}: leave one out"
                )
            text = name == "id" or name.startswith(GROUP)
            values[name] = column if text else [_value(one, own) for one in column]
            names[name] = there
        return cls(path, values, tuple(names.values()))

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), []))


def our_name(name: str, order: Sequence[str] = (), own: Sequence[str] = ()) -> str:
    """The name of ours for a column: whatever its case, and with the canonical category.

    Args:
        name: In the file.
        order: What the numbers of the categories mean.
        own: Categories that keep the name that the file gives them.
    """
    if name.removeprefix(_PROBABILITY) in own:
        return name
    plain = re.sub(r"\s+", "_", name.strip().casefold())
    plain = PUBLISHED.get(plain, plain)
    if plain.startswith(_PROBABILITY):
        category = plain.removeprefix(_PROBABILITY)
        if re.fullmatch(r"\d{1,9}", category) and int(category) < len(order):
            category = order[int(category)]
        return f"{_PROBABILITY}{canonical_category(category) or category}"
    return plain if plain in _OURS else name.strip()


def is_known(name: str) -> bool:
    """Whether a column of this name is of use."""
    ours = our_name(name)
    return ours in _OURS or ours.startswith(_PROBABILITY)


def _value(value: Any, own: Sequence[str]) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if value in own:
        return value
    return None if isinstance(value, str) and value.strip().casefold() in NOTHING else value


def recognise(columns: Columns) -> LabelSpace:
    """The label space of a file that does not name it, from its columns and categories.

    Raises:
        ConfigError: More than one is possible.
        DataError: A category is unknown.
    """
    values = columns.values
    named = {name.removeprefix(_PROBABILITY) for name in values if name.startswith(_PROBABILITY)}
    for space in LABEL_SPACES.values():
        if named == set(space.categories):
            return space
    if "dominance_true" in values:
        return EMOTIC
    true, predicted = (
        {
            _category(one)
            for one in values.get(f"category_{side}", ())
            if not isinstance(one, list | dict | None)
        }
        for side in ("true", "pred")
    )
    if not true | predicted:
        return AFFECTNET_8  # its categories are not used
    for codes in (set(range(8)), set(AFFECTNET_8.categories)):
        if true <= codes and predicted <= codes:
            contempt = codes - set(range(7)) - set(AFFECTNET_7.categories)
            if contempt <= true:
                return AFFECTNET_8
            if not contempt & predicted:
                return AFFECTNET_7
    raise ConfigError(
        f"{columns.path} does not say which categories it has: name them with label_space="
        f"{'|'.join(LABEL_SPACES)}"
    )


def to_predictions(
    columns: Columns,
    space: LabelSpace,
    training: TrainingStatistics | None,
    order: Sequence[str] = (),
) -> Predictions:
    """Check the values of a file.

    Args:
        columns: Its columns.
        space: What they mean.
        training: Statistics of the training split of the model.
        order: What the numbers of the categories mean; by default they count those of `space`.

    Raises:
        DataError: A column is missing, a value unknown or out of range; the file and row are named.
    """
    path, values, n = columns.path, columns.values, len(columns)
    if not n:
        raise DataError(f"{path}: there is no row in it")

    def category(name: str) -> Categories | None:
        if name not in values:
            return None
        return _categories(path, name, space, values[name], order or space.categories)

    def numbers(prefix: str, suffix: str, names: Sequence[str], needed: bool) -> Floats | None:
        wanted = [f"{prefix}{name}{suffix}" for name in names]
        missing = [name for name in wanted if name not in values]
        if len(missing) == len(wanted) and not needed:
            return None
        if missing:
            raise DataError(
                f"{path}: there is no column {missing[0]!r}; it has {', '.join(columns.there)}"
            )
        return np.stack([_numbers(path, name, values[name]) for name in wanted], axis=1)

    affect_pred = numbers("", "_pred", space.dimensions, needed=False)
    affect = numbers("", "_true", space.dimensions, needed=affect_pred is not None)
    probability = numbers(_PROBABILITY, "", space.categories, needed=False)
    chosen, true = category("category_pred"), category("category_true")
    if chosen is not None and true is None:
        raise DataError(f"{path}: there is no column 'category_true' to compare 'category_pred' to")
    if chosen is None and affect_pred is None:
        raise DataError(
            f"{path}: nothing is predicted in it: expected 'category_pred', or "
            f"{', '.join(f'{d}_pred' for d in space.dimensions)} (or the published names "
            f"{', '.join(PUBLISHED)}); it has {', '.join(columns.there)}"
        )
    nothing = np.full((n, len(space.dimensions)), np.nan)
    for name, found, low, high in (
        ("predicted affect", affect_pred, -_LARGEST, _LARGEST),
        ("probability", probability, 0, 1),
        ("true affect", None if affect is None else np.nan_to_num(affect), -1, 1),
    ):
        if found is not None and not (sound := ((found >= low) & (found <= high)).all(1)).all():
            row = int(np.flatnonzero(~sound)[0])
            raise DataError(
                f"{path}: row {row}: {name} {found[row].tolist()} is no number or out of range "
                f"({int((~sound).sum())} such rows of {n})"
            )
    return Predictions(
        space=space,
        id=ids_of(path, values.get("id", range(n))),
        category=true,
        affect=nothing if affect is None else affect,
        category_pred=chosen,
        probability=probability,
        affect_pred=affect_pred,
        training=training,
        groups={
            name.removeprefix(GROUP): np.array([str(one or "") for one in column], np.str_)
            for name, column in values.items()
            if name.startswith(GROUP)
        },
    )


def ids_of(path: Path, values: Iterable[Any]) -> npt.NDArray[np.str_]:
    """The ids of a file as texts.

    Raises:
        DataError: One is missing or there twice, or is a number with a fraction.
    """
    rows: dict[str, int] = {}
    for row, value in enumerate(values):
        if value in (None, "") or value != value:
            raise DataError(f"{path}: row {row}: id is empty")
        if isinstance(value, float) and not value.is_integer():
            raise DataError(
                f"{path}: row {row}: id is the number {value}, which 1.1 and 1.10 share: write "
                "ids as text"
            )
        name = str(int(value) if isinstance(value, float) else value)
        if name in rows:
            raise DataError(f"{path}: row {row}: the id {name!r} is that of row {rows[name]} too")
        rows[name] = row
    return np.array(list(rows), np.str_)


def _numbers(path: Path, name: str, values: list[Any]) -> Floats:
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            numbers[row] = float(value)
        except (TypeError, ValueError):
            raise DataError(f"{path}: row {row}: {name} is {value!r}, not a number") from None
    return numbers


def _category(value: Any) -> Any:
    """A category as its number or canonical name; anything else as it is."""
    if isinstance(value, str):
        if re.fullmatch(r"\d{1,9}(\.0*)?", value):
            return int(value.partition(".")[0])
        return canonical_category(value) or value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _categories(
    path: Path, name: str, space: LabelSpace, values: list[Any], order: Sequence[str]
) -> Categories:
    """Categories from names or numbers; where several may apply, from lists or joined names.

    A single true category may be null.
    """
    number: dict[Any, int] = {category: k for k, category in enumerate(space.categories)}
    number |= {k: number[category] for k, category in enumerate(order)}
    multi_hot = np.zeros((len(values), len(space.categories)), dtype=bool)
    for row, value in enumerate(values):
        for one in _applying(path, f"row {row}: {name}", space, value, name == "category_true"):
            nested = isinstance(one, list | dict)
            known = None if nested else one if one in number else _category(one)
            if known not in number:
                raise DataError(
                    f"{path}: row {row}: {name} is {one!r}, which is no category of {space.name}: "
                    f"expected {', '.join(space.categories)}, or their numbers from 0"
                )
            multi_hot[row, number[known]] = True
    if space.multi_label:
        return multi_hot
    return np.where(multi_hot.any(axis=1), multi_hot.argmax(axis=1), -1)


def _applying(path: Path, where: str, space: LabelSpace, value: Any, true: bool) -> list[Any]:
    """The categories that a value names.

    Raises:
        DataError: It names none where one is needed.
    """
    if value is None:
        if space.multi_label or true:
            return []
        raise DataError(f"{path}: {where} is empty: every row needs a prediction")
    if space.multi_label and isinstance(value, str):
        return value.split(_SEPARATOR)
    return value if isinstance(value, list) else [value]
