"""Means and differences over seeds and samples: their error, and what intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cage_lightning.scores.nested import Estimate, Group, Spread, estimate
from tests.present import present


def group(values, resampled=None, units: int = 1000) -> Group:
    values = np.asarray(values, np.float64)
    if resampled is None:  # other samples change nothing
        resampled = np.repeat(values[:, None], 20, axis=1)
    return Group(range(len(values)), values, np.asarray(resampled, np.float64), units)


def found(*groups: Group) -> Estimate:
    return present(estimate(*groups))


def drawn(rng, seeds, resamples, of_runs, of_samples, own) -> Group:
    """A group as the model has it: what runs, samples, and runs on samples are like is Gaussian."""
    means = rng.normal(0, of_runs, seeds) + rng.normal(0, own, seeds) + rng.normal(0, of_samples)
    scattered = rng.normal(0, of_samples, resamples) + rng.normal(0, own, (seeds, resamples))
    return group(means, means[:, None] + scattered)


def test_without_other_samples_it_is_students_interval():
    values = np.random.default_rng(0).normal(size=6)
    one = found(group(values))
    assert one.samples == pytest.approx(0, abs=1e-12)
    expected = stats.t.interval(0.9, 5, values.mean(), stats.sem(values))
    assert one.interval(0.9) == pytest.approx(expected)
    assert one.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_without_other_samples_two_groups_are_compared_as_welch_did():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=4), rng.normal(1, 3, size=7)
    both = found(group(a), group(b))
    welch = stats.ttest_ind(b, a, equal_var=False)
    assert both.value == pytest.approx(b.mean() - a.mean())
    assert (both.p, both.degrees) == pytest.approx((welch.pvalue, welch.df))
    interval = welch.confidence_interval(0.95)
    assert both.interval() == pytest.approx((interval.low, interval.high))


def test_pairs_are_one_group_of_differences():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 5))
    assert found(group(b).minus(group(a))).p == pytest.approx(stats.ttest_rel(b, a).pvalue)


def test_each_kind_of_variation_counts_once():
    rng = np.random.default_rng(3)
    common, own = rng.normal(0, 0.5, 200_000), rng.normal(0, 0.3, (4, 200_000))
    values = np.array([1.0, 2.0, 4.0, 5.0])
    one = found(group(values, values[:, None] + common + own))
    # The scatter of the values holds what runs do on these samples; the rest is common to them.
    assert one.samples == pytest.approx(0.25, rel=0.02)
    assert one.error**2 == pytest.approx(values.var(ddof=1) / 4 + 0.25, rel=0.02)
    seeds = values.var(ddof=1) / 4
    degrees = (seeds + 0.25) / (seeds / 3 + 0.25 / 999)
    assert one.degrees == pytest.approx(degrees, rel=0.02)


def test_what_samples_do_to_both_groups_is_no_part_of_their_difference():
    rng = np.random.default_rng(4)
    common = rng.normal(0, 1, 20_000)
    only_b = rng.normal(0, 0.2, 20_000)
    a, b = np.array([0.0, 1.0]), np.array([2.0, 2.5, 4.0])
    both = found(group(a, a[:, None] + common), group(b, b[:, None] + common + only_b))
    assert both.samples == pytest.approx(0.04, rel=0.05)
    assert both.value == pytest.approx(b.mean() - a.mean())


def test_few_videos_say_little_about_other_videos():
    resampled = np.zeros((2, 500)) + np.random.default_rng(5).normal(size=500)
    few, many = (found(group([0.0, 0.0], resampled, units)) for units in (4, 4000))
    assert (few.degrees, many.degrees) == pytest.approx((3, 3999))
    assert few.interval()[1] > 1.5 * many.interval()[1]


def test_where_nothing_varies():
    same = found(group([0.5, 0.5, 0.5]).minus(group([0.5, 0.5, 0.5])))
    assert (same.p, same.interval(), same.degrees) == (1, (0, 0), math.inf)
    assert same.p_equivalence(0.01) == 0
    assert same.seeds_for(0.01) == 2
    other = found(group([0.6, 0.6, 0.6]).minus(group([0.5, 0.5, 0.5])))
    assert other.p == 0
    assert other.p_equivalence(0.01) == 1


def test_resamples_that_do_not_define_the_score_are_left_out():
    values = np.array([0.0, 1.0])
    resampled = np.array([[0.0, 1.0, np.nan, 2.0], [1.0, 2.0, 0.0, np.nan]])
    whole = found(group(values, resampled[:, :2]))
    assert found(group(values, resampled)) == whole
    assert estimate(group(values, resampled[:, 1:])) is None


def test_equivalent_is_what_lies_within_the_margin():
    values = np.random.default_rng(6).normal(0.003, 0.01, 8)
    one = found(group(values))
    for alpha in (0.05, 0.2):
        low, high = one.interval(1 - 2 * alpha)
        margin = max(-low, high)  # just
        assert one.p_equivalence(margin) == pytest.approx(alpha)
    above, below = (
        stats.ttest_1samp(values, margin, alternative=side).pvalue
        for margin, side in ((-0.01, "greater"), (0.01, "less"))
    )
    assert one.p_equivalence(0.01) == pytest.approx(max(above, below))


@pytest.mark.parametrize(("effect", "expected"), [(1.0, 10), (0.5, 34), (1.5, 6)])
def test_the_seeds_of_a_paired_t_test_are_those_of_tables(effect, expected):
    # Cohen 1988; for example 34 pairs find half a standard deviation with a power of .8.
    one = Estimate(0.1, (Spread(5, 1.0),), 0.0, 1000)
    assert one.seeds_for(effect) == expected


def test_so_many_seeds_find_the_difference_in_four_of_five_cases():
    rng = np.random.default_rng(7)
    two = Estimate(0.0, (Spread(3, 1.0), Spread(3, 4.0)), 0.0, 1000)
    n = present(two.seeds_for(2.0))
    a, b = rng.normal(0, 1, (4000, n)), rng.normal(2, 2, (4000, n))
    assert np.mean(stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05) > 0.78
    fewer = stats.ttest_ind(a[:, 1:], b[:, 1:], axis=1, equal_var=False).pvalue
    assert np.mean(fewer < 0.05) < 0.82


def test_more_seeds_do_not_replace_samples():
    two = Estimate(0.02, (Spread(3, 1e-4),), 1e-4, 4000)
    assert two.seeds_for(0.02) is None  # two standard errors, at best
    assert present(two.seeds_for(0.03)) > present(two.seeds_for(0.04))


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize(("of_runs", "of_samples"), [(1.0, 0.3), (0.3, 1.0)])
def test_intervals_contain_the_truth_as_often_as_they_say(seeds, of_runs, of_samples):
    rng = np.random.default_rng(seeds)
    groups = [drawn(rng, seeds, 40, of_runs, of_samples, 0.1) for _ in range(800)]
    inside = np.mean([low <= 0 <= high for low, high in (found(g).interval() for g in groups)])
    assert 0.93 <= inside <= 0.97, inside
