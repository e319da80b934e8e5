"""Affect scores: against NumPy and SciPy, weighted or not, and where they are not defined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8, EMOTIC
from cage_lightning.scores import Scorer, point_estimate
from tests.prediction_samples import of_affect, random_predictions
from tests.present import present

ONE = replace(AFFECTNET_8, dimensions=("valence",))


def reference(x, y, w) -> dict[str, float]:
    """The scores of one dimension, by NumPy's weighted moments."""
    keep = ~np.isnan(y)
    x, y, w = x[keep], y[keep], w[keep]
    n = w.sum()
    moments = np.cov(x, y, aweights=w, ddof=0)
    far = (np.average(x, weights=w) - np.average(y, weights=w)) ** 2
    mse = np.average((x - y) ** 2, weights=w)
    bessel = n / (n - 1)
    return {
        "mse": mse,
        "mae": np.average(abs(x - y), weights=w),
        "rmse": np.sqrt(mse),
        "ccc": 2 * moments[0, 1] * bessel / (np.trace(moments) * bessel + far),
        "ccc_mixed_ddof": 2 * moments[0, 1] * bessel / (np.trace(moments) + far),
        "ccc_population": 2 * moments[0, 1] / (np.trace(moments) + far),
        "pearson": moments[0, 1] / np.sqrt(moments[0, 0] * moments[1, 1]),
        "sagr": np.average(np.sign(x) == np.sign(y), weights=w),
    }


@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC], ids=lambda s: s.name)
@pytest.mark.parametrize("kind", ["ones", "counts", "reals"])
def test_equal_to_numpy(space, kind):
    p = random_predictions(space, 200)
    rng = np.random.default_rng(1)
    weights = {
        "ones": np.ones((1, 200)),
        "counts": rng.multinomial(200, np.full(200, 1 / 200), 3),
        "reals": rng.uniform(0, 3, (3, 200)),
    }[kind]
    found, predicted = Scorer(p)(weights), present(p.affect_pred)
    for r, w in enumerate(weights):
        columns = {name: (predicted[:, [d]], p.affect[:, [d]]) for d, name in
                   enumerate(space.dimensions)}  # fmt: skip
        columns["pooled"] = (predicted, p.affect)
        for name, (x, y) in columns.items():
            expected = reference(x.ravel(), y.ravel(), np.repeat(w, x.shape[1]))
            for key, value in expected.items():
                assert found[f"{key}_{name}"][r] == pytest.approx(value, abs=1e-9), (key, name)
        of_dimensions = [found[f"ccc_{name}"][r] for name in space.dimensions]
        assert found["ccc_mean"][r] == pytest.approx(sum(of_dimensions) / len(of_dimensions))
        unlabelled = np.isnan(p.affect).any(1)
        assert found["n_unlabelled_affect"][r] == pytest.approx(w @ unlabelled)


def test_pearson_is_scipys():
    p = random_predictions(ONE, 100)
    keep = ~np.isnan(p.affect[:, 0])
    expected = stats.pearsonr(present(p.affect_pred)[keep, 0], p.affect[keep, 0])[0]
    assert point_estimate(p)["pearson_valence"] == pytest.approx(expected, abs=1e-12)


def test_the_three_definitions_of_the_concordance():
    found = point_estimate(of_affect(ONE, [3, -0.5, 2, 7], [2.5, 0, 2, 8]))
    assert found["ccc_population_valence"] == pytest.approx(0.9767892, abs=1e-7)
    assert found["ccc_valence"] == pytest.approx(0.9777348, abs=1e-7)
    assert found["ccc_mixed_ddof_valence"] == pytest.approx(1.3023856, abs=1e-7)
    population = found["ccc_population_valence"] * 4 / 3
    assert found["ccc_mixed_ddof_valence"] == pytest.approx(population, abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "ccc"),
    [
        ([0.3] * 7, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 0),
        ([0.1, 0.2, 0.3], [0.1] * 3, 0),
        ([0.1] * 3, [0.2] * 3, 0),
        ([0.1] * 3, [0.1] * 3, 1),
        ([0.5], [0.2], 0),
        ([0.5], [0.5], 1),
    ],
)
def test_without_spread(x, y, ccc):
    found = point_estimate(of_affect(ONE, x, y))
    for definition in ("ccc", "ccc_mixed_ddof", "ccc_population"):
        assert found[f"{definition}_valence"] == pytest.approx(ccc, abs=1e-12)
    assert "pearson_valence" not in found


def test_a_resample_of_a_single_sample_has_no_spread():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    found = Scorer(of_affect(ONE, x, y))(50 * np.eye(50))
    np.testing.assert_array_equal(found["ccc_valence"], 0)
    assert np.isnan(found["pearson_valence"]).all()
    y[::2] = x[::2]
    found = Scorer(of_affect(ONE, x, y))(50 * np.eye(50))
    np.testing.assert_array_equal(found["ccc_valence"], np.arange(50) % 2 == 0)


def test_a_small_spread_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(1)
    y = 1e4 + rng.normal(0, 1e-3, 1000)
    x = y + rng.normal(0, 1e-3, 1000)
    expected = reference(x, y, np.ones(1000))
    found = point_estimate(of_affect(ONE, x, y))
    for key, value in expected.items():
        assert found[f"{key}_valence"] == pytest.approx(value, rel=1e-9), key


def test_zero_agrees_in_sign_only_with_zero():
    found = point_estimate(of_affect(ONE, [0, -0.0, 0, 0.5, -1], [0, 0, 0.1, 0.1, 1]))
    assert found["sagr_valence"] == 3 / 5


def test_native_scale():
    p = random_predictions(EMOTIC, 100)
    found = point_estimate(p)
    x, y = (EMOTIC.to_native(v[:, 2]) for v in (present(p.affect_pred), p.affect))
    assert found["mse_dominance_native"] == pytest.approx(np.nanmean((x - y) ** 2), abs=1e-9)
    assert found["mae_dominance_native"] == pytest.approx(np.nanmean(abs(x - y)), abs=1e-9)
    assert found["rmse_dominance_native"] == pytest.approx(
        np.sqrt(np.nanmean((x - y) ** 2)), abs=1e-9
    )
    assert not [key for key in point_estimate(random_predictions(AFFECTNET_8)) if "native" in key]


def test_what_is_not_labelled_has_no_score():
    found = point_estimate(of_affect(AFFECTNET_8, [[1, 0.2], [0, 0.3]], [[0.1, np.nan]] * 2))
    assert found["n_unlabelled_affect"] == 2
    assert found["mse_pooled"] == found["mse_valence"]
    assert not [key for key in found if key.endswith("_arousal")]
    assert "ccc_mean" not in found  # of one dimension it would be another score
    nothing = point_estimate(of_affect(AFFECTNET_8, [[1, np.nan]], [[np.nan, np.nan]]))
    assert nothing == {"n": 1, "n_unlabelled_affect": 1}
    assert point_estimate(of_affect(ONE, [], [])) == {"n": 0, "n_unlabelled_affect": 0}


def test_a_diverged_model_is_named():
    with pytest.raises(DataError, match="sample 1: the predicted arousal is nan"):
        point_estimate(of_affect(AFFECTNET_8, [[0, np.nan], [0, np.nan]], [[0, np.nan], [0, 0]]))
