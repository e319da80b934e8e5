"""Weights of the categories in the losses: the published ones and those computed from counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import LabelSpace

PAPER_CLASS_WEIGHTS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "affectnet8": (
            0.015605,
            0.008709,
            0.046078,
            0.083078,
            0.185434,
            0.305953,
            0.046934,
            0.308210,
        ),
        "affectnet7": (0.022600, 0.012589, 0.066464, 0.120094, 0.265305, 0.444943, 0.068006),
    }
)
"""Table 4 of the paper, by the name of the label space and in its canonical order.

The paper calls them frequencies; they are inverse frequencies. Those of ``affectnet7`` are
`inverse_frequency` of the training counts to six digits, those of ``affectnet8`` only nearly
(up to 1.4 % off), so both are kept as constants.
"""


def weighting(setting: Any, space: LabelSpace) -> str | tuple[float, ...]:
    """The setting ``data.class_weights``, as a name that the data set can follow or as weights.

    Args:
        setting: ``inverse_frequency`` or ``none``; ``paper`` where Table 4 has the label space,
            ``positive`` where several categories may apply; or one weight per category, positive,
            in the order of `space`.
        space: Of the data set.

    Raises:
        ConfigError: It is none of these.
    """
    named = ("positive",) if space.multi_label else ("paper",)
    own = named if space.multi_label or space.name in PAPER_CLASS_WEIGHTS else ()
    names, n = (*own, "inverse_frequency", "none"), len(space.categories)
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


def inverse_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights proportional to 1 / n_k that sum to 1, for the weighted cross-entropy.

    Args:
        counts: Training samples n_k of each category, each at least 1.

    Raises:
        DataError: A category has no sample.
    """
    _check_occurring(counts)
    total = sum(1 / count for count in counts)
    return tuple(1 / count / total for count in counts)


def positive_weights(counts: Sequence[int], n: int) -> tuple[float, ...]:
    """Weights (n - n_k) / n_k of the positive labels, for the multi-label cross-entropy.

    With them the positives of a category weigh as much as its negatives.

    Args:
        counts: Training samples n_k to which each category applies, each from 1 to `n`.
        n: Training samples in all.

    Raises:
        DataError: A category applies to no sample, or to more than there are.
    """
    _check_occurring(counts)
    if max(counts) > n:
        raise DataError(f"A category applies to {max(counts)} samples of {n}; check the counts.")
    return tuple((n - count) / count for count in counts)


def inverse_occurrence(counts: Sequence[int], n: int) -> tuple[float, ...]:
    """Weights n / n_k of the positive labels, for the multi-label cross-entropy.

    "The inverse of the occurrence", as the paper words its weights for EMOTIC (sections 4.3 and
    5.4). Its code uses `positive_weights`, which are smaller by 1.

    Args:
        counts: As in `positive_weights`.
        n: As in `positive_weights`.

    Raises:
        DataError: As in `positive_weights`.
    """
    return tuple(weight + 1 for weight in positive_weights(counts, n))


def _check_occurring(counts: Sequence[int]) -> None:
    missing = [k for k, count in enumerate(counts) if count < 1]
    if missing:
        raise DataError(
            f"No sample of category {missing} (columns of the label space): its weight is "
            "undefined. Add samples, or set data.class_weights=none or to a list of numbers."
        )
