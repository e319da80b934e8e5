"""Scores of several runs that differ only in their seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


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
