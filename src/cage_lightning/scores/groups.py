"""The comparison of two groups of runs that differ in a setting, several seeds each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cage_lightning.predictions.table import Floats
from cage_lightning.scores.nested import Estimate, Group, estimate
from cage_lightning.scores.seeds import sign_flip_p

_NEAR = 1e-9  # to a share of 0 or 1, which is a root of its own


class Improvement(NamedTuple):
    """How likely a run of the second group scores higher than one of the first.

    Attributes:
        share: That of all pairs of runs, ties counted half.
        low: Lower limit of its interval.
        high: Upper limit.
    """

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupDifference:
    """The difference of a score between two groups of runs, the second minus the first.

    Attributes:
        a: The first group: those of its runs that were compared.
        b: The second.
        paired: Whether each run was compared with that of the same seed.
        estimate: The difference of the means.
        sign_flip: p-value of the sign-flip test over the seeds; None where they are not paired.
        improvement: How likely a run of the second group scores higher.
    """

    a: Group
    b: Group
    paired: bool
    estimate: Estimate
    sign_flip: float | None
    improvement: Improvement


def compare_groups(a: Group, b: Group, confidence: float = 0.95) -> GroupDifference | None:
    """Compare two groups of runs that were tested on the same samples.

    Runs are paired by their seed, and the others left out, if at least two seeds are in both
    groups, and at least half of those of either. If not, all runs are compared with all.

    Args:
        a: The group that is compared to, at least two runs.
        b: The group that is compared, at least two runs.
        confidence: Of the interval of `GroupDifference.improvement`.

    Returns:
        None where the resamples do not define the score.
    """
    shared = shared_seeds(a.seeds, b.seeds)
    sign_flip = None
    if shared:
        a, b = a.of(shared), b.of(shared)
        differences = b.minus(a)
        found = estimate(differences)
        sign_flip = sign_flip_p(differences.values.tolist())
    else:
        found = estimate(a, b)
    if found is None:
        return None
    improvement = probability_of_improvement(a.values, b.values, confidence)
    return GroupDifference(a, b, bool(shared), found, sign_flip, improvement)


def shared_seeds(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """The seeds by which runs are paired; empty where they are not.

    >>> shared_seeds([0, 1, 2, 3], [1, 2, 3, 4]), shared_seeds([0, 1, 2], [2, 3, 4])
    ([1, 2, 3], [])
    """
    shared = sorted(set(a) & set(b))
    enough = len(shared) >= 2 and 2 * len(shared) >= max(len(a), len(b))
    return shared if enough else []


def probability_of_improvement(a: Floats, b: Floats, confidence: float = 0.95) -> Improvement:
    """How likely a run of the second group scores higher than one of the first.

    The share of all pairs in which it does, ties counted half (Agarwal et al. 2021, NeurIPS), with
    the interval of Newcombe's method 5 (2006, Statistics in Medicine 25, 559): the shares q with
    (share - q)^2 <= z^2 V(q), where V is the variance of Hanley and McNeil with (S_a + S_b) / 2 - 1
    in the place of S_a - 1 and S_b - 1. It stays within [0, 1] and has a width also where all runs
    of one group are better. It is about other seeds on the same test samples.

    Args:
        a: The scores of the first group, ``[S_a]``.
        b: Those of the second, ``[S_b]``.
        confidence: Between 0 and 1.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    above = np.sign(b[None, :] - a[:, None])
    share = float((1 + above.mean()) / 2)
    z, pairs, others = float(norm.ppf((1 + confidence) / 2)), above.size, sum(above.shape) / 2 - 1

    def beyond(q: float) -> float:
        variance = q * (1 - q) * (1 + others * ((1 - q) / (2 - q) + q / (1 + q))) / pairs
        return float((share - q) ** 2 - z**2 * variance)

    low = brentq(beyond, 0, min(share, 1 - _NEAR)) if share > 0 else 0.0
    high = brentq(beyond, max(share, _NEAR), 1) if share < 1 else 1.0
    return Improvement(share, float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for all comparisons of a family.

    The chance that any of the true hypotheses is rejected at alpha is at most alpha, however the
    comparisons depend on each other (Holm 1979, Scandinavian Journal of Statistics 6, 65).

    >>> [round(p, 2) for p in holm([0.04, 0.01, 0.03])]
    [0.06, 0.03, 0.06]
    """
    p = np.array(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]), 1)
    adjusted = np.empty(len(p))
    adjusted[order] = steps
    return [float(value) for value in adjusted]
