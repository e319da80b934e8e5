from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchmetrics.functional.regression import concordance_corrcoef

from cage_lightning.metrics.affect import AffectScores


def scores(x, y, dimensions=("valence",)) -> dict[str, float]:
    shape = (-1, len(dimensions))
    x, y = (torch.as_tensor(v, dtype=torch.float64).reshape(shape) for v in (x, y))
    found = AffectScores(dimensions)
    found.update(x, y)
    return found.compute()


def ccc(x, y) -> float:
    return scores(x, y)["ccc_valence"]


def reference(x, y) -> dict[str, float]:
    keep = ~np.isnan(y)
    x, y = x[keep], y[keep]
    covariance = np.cov(x, y, ddof=1)
    spread = covariance[0, 0] + covariance[1, 1] + (x.mean() - y.mean()) ** 2
    return {
        "mse": np.mean((x - y) ** 2),
        "mae": np.mean(np.abs(x - y)),
        "rmse": np.sqrt(np.mean((x - y) ** 2)),
        "ccc": 2 * covariance[0, 1] / spread,
    }


def test_unbiased_not_population_nor_mixed():
    # population .9767892, covariance unbiased but variances not 1.3023856
    found = ccc([3, -0.5, 2, 7], [2.5, 0, 2, 8])
    assert found == pytest.approx(0.9777348, abs=1e-7)


@pytest.mark.parametrize("n", [2, 3, 50, 1000])
def test_equal_to_numpy_and_torchmetrics(n):
    rng = np.random.default_rng(n)
    y = rng.uniform(-1, 1, (n, 3))
    x = 0.6 * y + rng.normal(0.1, 0.3, (n, 3))
    y[2::5, 1] = np.nan
    y[1::7, 2] = np.nan
    if n == 2:
        y = np.nan_to_num(y)
    found = scores(x, y, ("valence", "arousal", "dominance"))
    columns = {"valence": 0, "arousal": 1, "dominance": 2}
    expected = {name: reference(x[:, d], y[:, d]) for name, d in columns.items()}
    expected["pooled"] = reference(x.ravel(), y.ravel())
    flat = {f"{score}_{name}": v for name, by in expected.items() for score, v in by.items()}
    flat["ccc_mean"] = sum(expected[name]["ccc"] for name in columns) / 3
    assert found == pytest.approx(flat, abs=1e-12)
    theirs = concordance_corrcoef(torch.tensor(x[:, 0]), torch.tensor(y[:, 0]))
    assert found["ccc_valence"] == pytest.approx(float(theirs), abs=1e-9)


def test_pooled_rewards_knowing_the_means():
    rng = np.random.default_rng(0)
    y = rng.normal([-0.2, 0.4], 0.3, (4000, 2))
    found = scores(np.tile(y.mean(0), (4000, 1)), y, ("valence", "arousal"))
    assert found["ccc_valence"] == pytest.approx(0, abs=1e-12)
    assert found["ccc_pooled"] > 0.5
    assert found["rmse_pooled"] ** 2 == pytest.approx(
        (found["rmse_valence"] ** 2 + found["rmse_arousal"] ** 2) / 2, abs=1e-12
    )


def test_a_small_spread_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(1)
    y = 1e4 + rng.normal(0, 1e-3, 1000)
    x = y + rng.normal(0, 1e-3, 1000)
    assert ccc(x, y) == pytest.approx(reference(x, y)["ccc"], abs=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([0.3] * 7, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 0),
        ([0.1, 0.2, 0.3], [0.1] * 3, 0),
        ([0.1] * 3, [0.2] * 3, 0),
        ([0.1] * 3, [0.1] * 3, 1),
        ([0.5], [0.2], 0),
        ([0.5], [0.5], 1),
    ],
)
def test_without_spread_the_ccc_is_defined(x, y, expected):
    assert ccc(x, y) == pytest.approx(expected, abs=1e-12)


def test_a_dimension_without_labels_is_absent():
    y = [[0.1, np.nan], [0.3, np.nan]]
    found = scores([[0.1, 0.2], [0.2, 0.3]], y, ("valence", "arousal"))
    assert {name.partition("_")[2] for name in found} == {"valence", "pooled"}
    assert found["ccc_pooled"] == found["ccc_valence"]
    assert scores([[0.1, 0.2]], [[np.nan, np.nan]], ("valence", "arousal")) == {}


def test_a_diverged_prediction_shows():
    assert np.isnan(ccc([np.nan, 0.1], [0.2, 0.3]))
    assert ccc([np.nan, 0.1, 0.4], [np.nan, 0.1, 0.4]) == 1


def vectors(n):
    return hnp.arrays(np.float64, n, elements=st.integers(-1000, 1000).map(lambda i: i / 1000))


PAIRS = st.integers(1, 30).flatmap(lambda n: st.tuples(vectors(n), vectors(n)))


@given(PAIRS)
def test_ccc_is_bounded_symmetric_and_one_only_for_equals(pair):
    x, y = pair
    value = ccc(x, y)
    assert -1 - 1e-12 <= value <= 1 + 1e-12
    assert value == pytest.approx(ccc(y, x), abs=1e-12)
    assert ccc(x, x) == pytest.approx(1, abs=1e-12)
    assert (value > 1 - 1e-9) == bool((x == y).all())


@given(PAIRS, st.floats(0.1, 10), st.booleans(), st.floats(-1, 1))
def test_ccc_is_invariant_when_both_are_transformed_alike(pair, scale, mirrored, shift):
    x, y = pair
    assume(np.ptp(x) + np.ptp(y) > 0)
    scale = -scale if mirrored else scale
    assert ccc(scale * x + shift, scale * y + shift) == pytest.approx(ccc(x, y), abs=1e-9)


@given(PAIRS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_scores_depend_neither_on_order_nor_on_parts(pair, random, n_parts):
    x, y = pair
    order = list(range(len(x)))
    random.shuffle(order)
    found = AffectScores(["valence"])
    for rows in np.array_split(order, n_parts):
        found.update(torch.tensor(x[rows])[:, None], torch.tensor(y[rows])[:, None])
    whole = scores(x, y)
    assume(np.ptp(x) + np.ptp(y) > 0)  # the rounding of a mean decides what 0/0 is
    assert found.compute() == pytest.approx(whole, abs=1e-9)
