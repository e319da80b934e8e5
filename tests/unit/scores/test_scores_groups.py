"""Two groups of runs: pairs, shares, and what many comparisons do to p."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from cage_lightning.scores.groups import (
    compare_groups,
    holm,
    probability_of_improvement,
    shared_seeds,
)
from cage_lightning.scores.nested import Group
from cage_lightning.scores.seeds import sign_flip_p
from tests.present import present


def group(seeds, values) -> Group:
    values = np.asarray(values, np.float64)
    return Group(list(seeds), values, np.repeat(values[:, None], 9, axis=1), 100)


def test_runs_of_the_same_seed_are_paired_in_whatever_order():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5))
    order = [3, 1, 4, 0, 2]
    result = present(compare_groups(group(range(5), a), group(order, b[order])))
    assert result.paired
    assert result.estimate.p == pytest.approx(stats.ttest_rel(b, a).pvalue)
    assert result.sign_flip == sign_flip_p((b - a).tolist())
    # A seed that only one has takes no part.
    more = present(compare_groups(group(range(5), a), group([*range(5), 9], [*b, 7.0])))
    assert more.estimate == result.estimate
    assert more.b.seeds == list(range(5))


def test_runs_of_other_seeds_are_not_paired():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=4), rng.normal(size=5)
    result = present(compare_groups(group(range(4), a), group(range(10, 15), b)))
    assert (result.paired, result.sign_flip) == (False, None)
    assert result.estimate.p == pytest.approx(stats.ttest_ind(b, a, equal_var=False).pvalue)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 1, 2), (2, 1, 0), [0, 1, 2]),
        ((0, 1, 2, 3, 4, 5), (0, 1, 2), [0, 1, 2]),  # half of them
        ((0, 1, 2, 3, 4, 5), (0, 1), []),
        ((0, 1), (1, 2), []),  # a single pair has no spread
    ],
)
def test_which_seeds_are_paired(a, b, expected):
    assert shared_seeds(a, b) == expected


def test_the_share_is_that_of_mann_and_whitney():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 6, 7) / 5, rng.integers(1, 8, 5) / 5
    share, low, high = probability_of_improvement(a, b)
    assert share == pytest.approx(stats.mannwhitneyu(b, a).statistic / 35)
    assert 0 < low < share < high < 1
    assert probability_of_improvement(b, a) == pytest.approx((1 - share, 1 - high, 1 - low))


def test_the_limits_of_the_share_solve_newcombes_equation():
    a, b = np.array([1.0, 2, 3, 4]), np.array([2.5, 3.5, 4.5])
    share, *limits = probability_of_improvement(a, b, 0.9)
    for q in limits:
        q1, q2 = q / (2 - q), 2 * q**2 / (1 + q)  # Hanley and McNeil 1982
        others = (4 + 3) / 2 - 1
        variance = (q * (1 - q) + others * (q1 - q**2) + others * (q2 - q**2)) / 12
        assert abs(share - q) == pytest.approx(stats.norm.ppf(0.95) * variance**0.5)


def test_also_where_every_run_is_better_it_is_not_certain():
    share, low, high = probability_of_improvement(np.arange(3.0), np.arange(3.0) + 5)
    assert (share, high) == (1, 1)
    assert 0.4 < low < 0.9
    assert probability_of_improvement(np.zeros(3), np.zeros(3)).share == 0.5
    fewer = probability_of_improvement(np.arange(10.0), np.arange(10.0) + 20).low
    assert fewer > low


def test_the_interval_of_the_share_contains_the_true_one():
    rng = np.random.default_rng(3)
    truth = stats.norm.cdf(1 / 2**0.5)
    limits = [
        probability_of_improvement(rng.normal(0, 1, 5), rng.normal(1, 1, 5)) for _ in range(400)
    ]
    assert 0.92 <= np.mean([low <= truth <= high for _, low, high in limits]) <= 0.99


def test_holm_is_the_closure_of_bonferroni():
    p = [0.01, 0.04, 0.03, 0.005, 0.2]
    families = [s for k in range(1, 6) for s in combinations(range(5), k)]
    expected = [
        max(min(1, len(s) * min(p[j] for j in s)) for s in families if i in s) for i in range(5)
    ]
    assert holm(p) == pytest.approx(expected)
    assert holm([]) == []
    assert holm([0.5, 0.6]) == [1, 1]
