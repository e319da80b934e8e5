"""Mean, spread and interval of a score over several seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cage_lightning.scores import Summary, summarise
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
