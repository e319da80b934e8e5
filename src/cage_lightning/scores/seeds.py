"""Scores of several runs that differ only in their seed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_ALL_SIGNS = 16  # seeds; of more, not every way to choose their signs is tried
_ROUNDING = 1e-12  # what sums may differ by that are equal


class Summary(NamedTuple):
    """Mean and spread of a score over seeds.

    Attributes:
        n: Number of runs.
        mean: Over them.
        sd: Standard deviation, divided by n - 1; None for a single run.
        low: Lower limit of the confidence interval of the mean; None for a single run.
        high: Its upper limit.
    """

    n: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None


def summarise(values: Sequence[float], confidence: float = 0.95) -> Summary:
    """Mean, spread and Student's interval of the mean, mean +- t sd / sqrt(n).

    The interval is about training again, not about other samples; it assumes that the scores of
    runs are normally distributed.

    >>> summary = summarise([0.5, 0.6, 0.7])
    >>> round(summary.mean, 6), round(summary.sd, 6), round(summary.low, 3), round(summary.high, 3)
    (0.6, 0.1, 0.352, 0.848)

    Args:
        values: One for each run, at least one.
        confidence: Confidence of the interval, between 0 and 1.
    """
    from scipy.stats import t

    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Summary(n, mean)
    sd = float(np.std(values, ddof=1))
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * sd / n**0.5
    return Summary(n, mean, sd, mean - half, mean + half)


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of a sign-flip test over seeds (Fisher 1935).

    Were neither of two models better, each difference could as well have had the other sign. p is
    the share of the 2^n ways to choose the signs in which the mean is at least as far from 0 as the
    one observed. It assumes no distribution, and is at least 2^(1 - n).

    >>> sign_flip_p([0.01, 0.02, 0.03]), sign_flip_p([0.01, 0.02, -0.03])
    (0.25, 1.0)

    Args:
        differences: One for each seed, at least one. Of more than 16, 2^16 ways are drawn.
    """
    values = np.array(differences, np.float64)
    n = len(values)
    if n <= _ALL_SIGNS:
        negative = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        negative = np.random.default_rng(0).integers(2, size=(2**_ALL_SIGNS, n))
        negative[0] = 0  # the observed signs count among them
    sums = np.abs((1 - 2 * negative) @ values)
    return float(np.mean(sums >= sums[0] - _ROUNDING * np.abs(values).sum()))


def seeds_needed(alpha: float) -> int:
    """The fewest seeds with which a sign-flip test can reach a two-sided p of at most `alpha`.

    >>> seeds_needed(0.05), seeds_needed(0.25)
    (6, 3)

    Args:
        alpha: Between 0 and 1.
    """
    return next(n for n in itertools.count(1) if 2.0 ** (1 - n) <= alpha)
