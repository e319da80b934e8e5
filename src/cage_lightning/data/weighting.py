"""The setting ``data.class_weights``: what it may be, and the weights that it means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cage_lightning.data.class_weights import (
    PAPER_CLASS_WEIGHTS,
    effective_number,
    effective_occurrence,
    inverse_frequency,
    inverse_occurrence,
    inverse_sqrt,
    positive_weights,
    root_of_occurrence,
)
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import LABEL_SPACES, LabelSpace

_OF_ONE = {
    "inverse_frequency": inverse_frequency,
    "inverse_sqrt": inverse_sqrt,
    "effective_number": effective_number,
}
# Of the positive labels, where several categories may apply.
_OF_SEVERAL = {
    "positive": positive_weights,
    "inverse_frequency": inverse_occurrence,
    "inverse_sqrt": root_of_occurrence,
    "effective_number": effective_occurrence,
}
# How many times more, or fewer, samples of a category than Table 4 expects there may be in a data
# set that is distributed as AffectNet is, beyond so many standard deviations of a count.
_LIKE_AFFECTNET, _DEVIATIONS = 1.5, 4


@dataclass(frozen=True)
class ClassWeights:
    """The weights of the categories in a loss, and where they come from.

    Attributes:
        setting: What ``data.class_weights`` says: a name, or ``list``.
        space: Whose categories they are.
        counts: Training samples of each category.
        values: One weight per category; None for weights of 1.
    """

    setting: str
    space: LabelSpace
    counts: Sequence[int]
    values: tuple[float, ...] | None

    @property
    def origin(self) -> str:
        """What the weights are computed from, in words."""
        return {
            "paper": "Table 4 of the paper, from the counts of AffectNet",
            "list": "as given",
            "none": "every sample weighs the same",
        }.get(self.setting, "from the counts of the training split")

    def to_dict(self) -> dict[str, Any]:
        """As plain containers, for metrics.json."""
        names = self.space.categories
        values = None if self.values is None else dict(zip(names, self.values, strict=True))
        counts = dict(zip(names, self.counts, strict=True))
        return {"setting": self.setting, "from": self.origin, "weights": values, "counts": counts}

    def __str__(self) -> str:
        """One line for the log."""
        weights = self.values or (1.0,) * len(self.counts)
        shown = ", ".join(
            f"{name} {weight:.4g} ({count:,})"
            for name, weight, count in zip(self.space.categories, weights, self.counts, strict=True)
        )
        return f"class weights {self.setting} ({self.origin}; in brackets its samples): {shown}"

    def warning(self) -> str | None:
        """What to say where Table 4 weighs samples that are not distributed as AffectNet's are."""
        if self.setting != "paper" or self.values is None:
            return None
        present = {k: count for k, count in enumerate(self.counts) if count}
        expected = {k: 1 / self.values[k] for k in present}
        scale = sum(present.values()) / sum(expected.values(), start=1e-9)
        factors = {
            k: count / (scale * expected[k])
            for k, count in present.items()
            if abs(count - scale * expected[k]) > _DEVIATIONS * (scale * expected[k]) ** 0.5
        }
        most = max(factors, key=lambda k: abs(math.log(factors[k])), default=None)
        if most is None or 1 / _LIKE_AFFECTNET <= factors[most] <= _LIKE_AFFECTNET:
            return None
        return (
            "data.class_weights=paper are weights for the counts of AffectNet, and this training "
            f"split is distributed otherwise: {self.space.categories[most]} has "
            f"{factors[most]:.2g} times the share of the samples that it has there. Set "
            f"data.class_weights to {', '.join(_OF_ONE)} (from these counts) or none; of another "
            "data set than AffectNet, class folders are data=folders or data=fer2013"
        )


def weighting(setting: Any, space: LabelSpace) -> str | tuple[float, ...]:
    """The setting ``data.class_weights``, as a name that the data set can follow or as weights.

    Args:
        setting: ``inverse_frequency``, ``inverse_sqrt``, ``effective_number`` or ``none``;
            ``paper`` where Table 4 has the label space, ``positive`` where several categories may
            apply; or one weight per category, positive, in the order of `space`.
        space: Of the data set.

    Raises:
        ConfigError: It is none of these.
    """
    paper = ("paper",) if _in_table_4(space) else ()
    names = (*_OF_SEVERAL, "none") if space.multi_label else (*paper, *_OF_ONE, "none")
    n = len(space.categories)
    if isinstance(setting, str) and setting in names:
        return setting
    if not isinstance(setting, Sequence) or isinstance(setting, str):
        raise ConfigError(
            f"data.class_weights={setting}: choose one of {', '.join(names)}, or a list of "
            f"{n} numbers"
        )
    if len(setting) != n:
        raise ConfigError(
            f"data.class_weights has {len(setting)} numbers, and {space.name} {n} categories: "
            f"{', '.join(space.categories)}"
        )
    for name, weight in zip(space.categories, setting, strict=True):
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 < weight < math.inf:
            raise ConfigError(
                f"data.class_weights: the weight of {name}, {weight!r}, is not a positive number"
            )
    return tuple(float(weight) for weight in setting)


def _in_table_4(space: LabelSpace) -> bool:
    """Whether Table 4 has these categories, and not only a data set of the same name."""
    named = space.name in PAPER_CLASS_WEIGHTS
    return named and LABEL_SPACES[space.name].categories == space.categories


def class_weights(
    setting: str | tuple[float, ...], space: LabelSpace, counts: Sequence[int], n: int
) -> ClassWeights:
    """The weights that a setting means for a training split.

    Args:
        setting: From `weighting`.
        space: What is annotated.
        counts: Training samples of each category; those that are not annotated count for none.
        n: Training samples in all.

    Raises:
        DataError: The weights follow the counts, and a category has no sample.
    """
    name = setting if isinstance(setting, str) else "list"
    return ClassWeights(name, space, counts, _values(setting, space, counts, n))


def _values(
    setting: str | tuple[float, ...], space: LabelSpace, counts: Sequence[int], n: int
) -> tuple[float, ...] | None:
    if not isinstance(setting, str):
        return setting
    if setting == "none":
        return None
    if setting == "paper":
        return PAPER_CLASS_WEIGHTS[space.name]
    missing = [k for k, count in enumerate(counts) if count < 1]
    if missing:
        raise DataError(_without_samples(setting, space, missing))
    if space.multi_label:
        return _OF_SEVERAL[setting](counts, n)
    return _OF_ONE[setting](counts)


def _without_samples(setting: str, space: LabelSpace, missing: Sequence[int]) -> str:
    """The error where a category occurs nowhere, with what can be done about it."""
    absent = [space.categories[k] for k in missing]
    present = tuple(name for name in space.categories if name not in absent)
    spaces = [name for name, other in LABEL_SPACES.items() if other.categories == present]
    if space.name not in LABEL_SPACES:
        without = "leave it out of data.categories, "
    else:
        without = f"leave it out with data.label_space={spaces[0]}, " if spaces else ""
    return (
        f"data.class_weights={setting} follows the counts of the training split, which has no "
        f"sample of {', '.join(absent)}: {without}set data.class_weights=none, or give it a list "
        f"of {len(space.categories)} numbers"
    )
