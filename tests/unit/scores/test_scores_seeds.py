"""Mean, spread and interval of a score over several seeds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from cage_lightning.scores import Summary, seeds_needed, sign_flip_p, summarise
from tests.present import present


@pytest.mark.parametrize("n", [2, 5, 30])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_students_interval_is_scipys(n, confidence):
    values = np.random.default_rng(n).normal(size=n)
    found = summarise(values.tolist(), confidence)
    low, high = stats.t.interval(confidence, n - 1, np.mean(values), stats.sem(values))
    expected = Summary(n, np.mean(values), np.std(values, ddof=1), low, high)
    assert found == pytest.approx(expected, abs=1e-12)


def test_by_hand():
    found = summarise([0.6, 0.62, 0.64])
    assert found[:3] == pytest.approx((3, 0.62, 0.02))
    assert present(found.high) - found.mean == pytest.approx(4.302653 * 0.02 / 3**0.5, abs=1e-7)


def test_a_single_run_has_only_a_mean():
    assert summarise([0.5]) == Summary(1, 0.5)
    assert summarise([0.5]).sd is None


def test_signs_are_flipped_in_every_way() -> None:
    values = np.random.default_rng(1).normal(0.5, size=7)
    signs = np.array(list(itertools.product((1, -1), repeat=7)))
    expected = np.mean(abs(signs @ values) >= abs(values.sum()) - 1e-12)
    assert sign_flip_p(values.tolist()) == expected
    # All on one side: no other choice is as far, but all of them negative.
    assert [sign_flip_p([0.1] * n) for n in (1, 3, 6, 16)] == [1, 0.25, 2**-5, 2**-15]
    assert sign_flip_p([0.0, 0.0, 0.0]) == 1


def test_of_many_seeds_ways_are_drawn() -> None:
    values = np.random.default_rng(2).normal(0.4, size=24)
    t = stats.ttest_1samp(values, 0).pvalue
    assert sign_flip_p(values.tolist()) == pytest.approx(t, rel=0.3)
    assert 0 < sign_flip_p([1.0] * 24) < 1e-4


@pytest.mark.parametrize(("alpha", "expected"), [(0.05, 6), (2**-5, 6), (0.03, 7), (0.25, 3)])
def test_the_seeds_that_a_p_needs(alpha: float, expected: int) -> None:
    assert seeds_needed(alpha) == expected
