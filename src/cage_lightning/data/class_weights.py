"""Formulas for the weights of the categories in the losses, and the published weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from cage_lightning.errors import DataError

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


BETA = 0.999
"""The rate of `effective_number`: beyond about a thousand samples a category counts no more."""


def inverse_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights proportional to 1 / n_k that sum to 1, for the weighted cross-entropy.

    Args:
        counts: Training samples n_k of each category, each at least 1.

    Raises:
        DataError: A category has no sample.
    """
    _check_occurring(counts)
    return _summing_to_one([1 / count for count in counts])


def inverse_sqrt(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights proportional to n_k^-0.5 that sum to 1: half-way, in logarithms, to equal weights.

    Args:
        counts: As in `inverse_frequency`.

    Raises:
        DataError: As in `inverse_frequency`.
    """
    _check_occurring(counts)
    return _summing_to_one([count**-0.5 for count in counts])


def effective_number(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights proportional to 1 / E_k that sum to 1, E_k = (1 - beta^n_k) / (1 - beta).

    E_k is the effective number of n_k samples: it counts what a further sample adds where many are
    alike, and is never more than 1 / (1 - beta). Equation 6 of Cui et al., "Class-Balanced Loss
    Based on Effective Number of Samples" (CVPR 2019), whose weights sum to the number of
    categories; `BETA` is one of the values compared there.

    Args:
        counts: As in `inverse_frequency`.

    Raises:
        DataError: As in `inverse_frequency`.
    """
    _check_occurring(counts)
    return _summing_to_one([1 / _effective(count) for count in counts])


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


def root_of_occurrence(counts: Sequence[int], n: int) -> tuple[float, ...]:
    """Weights (n / n_k)^0.5 of the positive labels: `inverse_sqrt` for several categories.

    Args:
        counts: As in `positive_weights`.
        n: As in `positive_weights`.

    Raises:
        DataError: As in `positive_weights`.
    """
    return tuple(weight**0.5 for weight in inverse_occurrence(counts, n))


def effective_occurrence(counts: Sequence[int], n: int) -> tuple[float, ...]:
    """Weights E(n) / E(n_k) of the positive labels: `effective_number` for several categories.

    Args:
        counts: As in `positive_weights`.
        n: As in `positive_weights`.

    Raises:
        DataError: As in `positive_weights`.
    """
    _check_occurring(counts)
    return tuple(_effective(n) / _effective(count) for count in counts)


def _effective(count: int) -> float:
    """The effective number of samples, see `effective_number`."""
    return (1 - BETA**count) / (1 - BETA)


def _summing_to_one(weights: Sequence[float]) -> tuple[float, ...]:
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def _check_occurring(counts: Sequence[int]) -> None:
    missing = [k for k, count in enumerate(counts) if count < 1]
    if missing:
        raise DataError(
            f"No sample of category {missing} (columns of the label space), so it has no weight."
        )
