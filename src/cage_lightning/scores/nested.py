"""Intervals over both kinds of variation: training with other seeds, and other test samples.

A score of run s on a sample of the population of pictures is taken to be

    Y_s = mu + (what run s is like) + (what the samples are like) + (what they are like for run s).

All runs are tested on the same samples, so the third term is the same for all of them and does not
become smaller with more seeds. The scatter of the observed scores over the seeds holds the second
and the fourth term; the covariance of two runs over resamples of the samples is the variance of the
third. Both together are the variance of a mean, each counted once. That is the model of Obuchowski
and Rockette (1995, Communications in Statistics - Simulation and Computation 24, 285) of readers
and cases, here runs and samples, with the covariance from the bootstrap.

The interval is Student's. The variance from the runs of two groups has the degrees of freedom of
Welch (1947, Biometrika 34, 28). Of the whole variance, of which the runs make the share r,

    1 / degrees = r / degrees of the runs + (1 - r) / (independent samples - 1).

Satterthwaite (1946, Biometrics Bulletin 2, 110) has the squares of the shares there, as Hillis has
for readers and cases (2007, Statistics in Medicine 26, 596). With three runs that is too narrow:
where they are alike by chance, their share is small, and the degrees are many. A percentile
interval of resampled seeds and samples is narrower still: of three seeds it has a third of the
variance too little, and no heavier tails for it. ``benchmarks/coverage.py`` measures how often each
contains the truth.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cage_lightning.predictions.table import Floats

_ROUNDING = 1e-12  # scores and errors below it are what rounding left of zero
_CERTAIN = 30.0  # standard errors: a difference of more is found as surely
_NORMAL = 1e6  # degrees of freedom: with more of them, t is normal as far as floats tell


@dataclass(frozen=True, eq=False)
class Group:
    """A score of runs that differ in nothing but their seed, tested on the same samples.

    Attributes:
        seeds: One of each run, S in all, none twice.
        values: The score on the samples as they are, ``[S]``.
        resampled: The same on resamples, ``[S, R]``: those of `scores.bootstrap.bootstrap`, the
            same resamples for all runs that are compared. NaN where one does not define the score.
        units: The number of samples, persons or videos that were drawn independently.
    """

    seeds: Sequence[int]
    values: Floats
    resampled: Floats
    units: int

    def of(self, seeds: Sequence[int]) -> Group:
        """The runs with the given seeds, in their order."""
        rows = [self.seeds.index(seed) for seed in seeds]
        return Group(seeds, self.values[rows], self.resampled[rows], self.units)

    def minus(self, other: Group) -> Group:
        """The differences to runs with the same seeds, which then are one group."""
        return Group(
            self.seeds, self.values - other.values, self.resampled - other.resampled, self.units
        )


class Spread(NamedTuple):
    """How runs that differ in their seed scatter.

    Attributes:
        n: The number of runs.
        variance: Between them, divided by n - 1.
    """

    n: int
    variance: float


@dataclass(frozen=True)
class Estimate:
    """The mean of a score over seeds, or the difference of two such means.

    Attributes:
        value: The mean, or the difference.
        spreads: Those of the runs: of one group, or of the two.
        samples: The variance that other test samples add, however many seeds there are.
        units: The number of samples, persons or videos that were drawn independently.
    """

    value: float
    spreads: tuple[Spread, ...]
    samples: float
    units: int

    @property
    def error(self) -> float:
        """The standard error."""
        return self._at([spread.n for spread in self.spreads])[0]

    @property
    def degrees(self) -> float:
        """The degrees of freedom of the standard error; infinite where nothing varies."""
        return self._at([spread.n for spread in self.spreads])[1]

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The lower and the upper limit of Student's interval.

        Args:
            confidence: Between 0 and 1.
        """
        from scipy.stats import t

        half = float(t.ppf((1 + confidence) / 2, self.degrees)) * self.error
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Two-sided p-value of no difference: at most 1 - confidence if the interval lacks 0."""
        from scipy.stats import t

        return float(2 * t.sf(abs(_ratio(self.value, self.error)), self.degrees))

    def p_equivalence(self, margin: float) -> float:
        """The p-value of a difference that is at least as large as a margin.

        That of two one-sided tests (Schuirmann 1987, Journal of Pharmacokinetics and
        Biopharmaceutics 15, 657): at most alpha if the interval of confidence 1 - 2 alpha lies
        between -margin and margin.

        Args:
            margin: Above 0, in units of the score.
        """
        from scipy.stats import t

        nearest = margin - abs(self.value)
        return float(t.sf(_ratio(nearest, self.error), self.degrees))

    def seeds_for(
        self, difference: float, alpha: float = 0.05, power: float = 0.8, most: int = 1000
    ) -> int | None:
        """How many seeds each group needs so that a difference of this size is found.

        The power of the t-test, from the noncentral t distribution, with the variances observed
        (Hillis, Obuchowski and Berbaum 2011, Academic Radiology 18, 129). More seeds do not lower
        what other samples add, so it may be that no number is enough.

        Args:
            difference: The true one, in units of the score.
            alpha: Of the two-sided test.
            power: How likely the test has to be to find it.
            most: The largest number that is tried.

        Returns:
            None if `most` seeds are not enough.
        """
        found = bisect_left(
            numbers := range(2, most + 1),
            True,
            key=lambda n: self._power(difference, alpha, n) >= power,
        )
        return numbers[found] if found < len(numbers) else None

    def _power(self, difference: float, alpha: float, seeds: int) -> float:
        """How likely the t-test finds a difference, with so many seeds in each group."""
        from scipy.stats import nct, t

        error, degrees = self._at([seeds] * len(self.spreads))
        centre = min(_ratio(abs(difference), error), _CERTAIN)
        degrees = min(degrees, _NORMAL)
        return float(nct.sf(t.ppf(1 - alpha / 2, degrees), degrees, centre))

    def _at(self, seeds: Sequence[int]) -> tuple[float, float]:
        """Standard error and degrees of freedom, were there so many seeds."""
        parts = [
            (spread.variance / n, n - 1) for spread, n in zip(self.spreads, seeds, strict=True)
        ]
        runs = sum(part for part, _ in parts)
        uncertain = sum(part**2 / degrees for part, degrees in parts)
        of_runs = uncertain / runs if runs else 0.0  # divided by their degrees of freedom
        of_samples = self.samples / max(self.units - 1, 1)
        variance, uncertain = runs + self.samples, of_runs + of_samples
        return math.sqrt(variance), variance / uncertain if uncertain else math.inf


def estimate(*groups: Group) -> Estimate | None:
    """The mean of one group, or the second group's mean minus the first one's, with its error.

    Runs of two groups that are paired by their seed are one group of differences: `Group.minus`.

    Args:
        groups: One or two, of at least two runs each, tested on the same samples.

    Returns:
        None where fewer than two resamples define the score.
    """
    defined = np.logical_and.reduce([~np.isnan(g.resampled).any(axis=0) for g in groups])
    if np.count_nonzero(defined) < 2:
        return None
    signs = (1.0,) if len(groups) == 1 else (-1.0, 1.0)
    drawn = [group.resampled[:, defined] for group in groups]
    means = sum(sign * part.mean(axis=0) for sign, part in zip(signs, drawn, strict=True))
    own = sum(_interaction(part) / len(part) for part in drawn)
    return Estimate(
        value=float(sum(s * g.values.mean() for s, g in zip(signs, groups, strict=True))),
        spreads=tuple(Spread(len(g.values), float(g.values.var(ddof=1))) for g in groups),
        samples=max(float(np.var(means, ddof=1) - own), 0.0),
        units=groups[0].units,
    )


def _interaction(resampled: Floats) -> float:
    """The variance over resamples by which a run goes other ways than the others, ``[S, R]``."""
    covariance = np.cov(resampled)
    n = len(covariance)
    variance = np.trace(covariance) / n
    return float(variance - (covariance.sum() - n * variance) / (n * (n - 1)))


def _ratio(part: float, whole: float) -> float:
    """A quotient of scores; infinite where the denominator is 0, and 0 where both are."""
    if whole > _ROUNDING:
        return part / whole
    return 0.0 if abs(part) <= _ROUNDING else math.copysign(math.inf, part)
