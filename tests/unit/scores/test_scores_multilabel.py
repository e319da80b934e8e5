"""Scores of any number of categories: scikit-learn's average precision, and top-3 by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from cage_lightning.labels import EMOTIC
from cage_lightning.scores import Scorer, point_estimate
from cage_lightning.scores.multilabel import most_probable
from tests.prediction_samples import of_categories, random_predictions


def made(probability, true):
    probability, true = np.asarray(probability, np.float64), np.asarray(true, bool)
    space = replace(EMOTIC, categories=tuple("abcdefghij"[: true.shape[1]]))
    return of_categories(space, true, probability >= 0.5, probability)


@pytest.mark.parametrize("digits", [1, 2, 15])
@pytest.mark.parametrize("weighted", [False, True])
def test_average_precision_is_scikit_learns(digits, weighted):
    rng = np.random.default_rng(digits)
    true = rng.random((300, 8)) < np.linspace(0, 0.6, 8)  # the first applies to nobody
    true[:, 5] = True
    probability = np.round(rng.random((300, 8)) * 0.7 + 0.3 * true, digits)
    weights = rng.integers(0, 4, (5, 300)) if weighted else np.ones((1, 300))
    found = Scorer(made(probability, true))(weights)
    for r, w in enumerate(weights):
        expected = [
            average_precision_score(true[:, k], probability[:, k], sample_weight=w)
            for k in range(1, 8)
        ]
        ours = [found[f"ap_{name}"][r] for name in "bcdefgh"]
        assert ours == pytest.approx(expected, abs=1e-9)
        assert found["map"][r] == pytest.approx(np.mean(expected), abs=1e-9)
    assert np.isnan(found["ap_a"]).all()
    assert "ap_a" not in point_estimate(made(probability, true))


def test_a_category_that_a_resample_lacks_is_left_out_of_the_mean():
    p = made([[0.9, 0.1], [0.5, 0.6], [0.1, 0.7]], [[1, 0], [0, 0], [0, 1]])
    found = Scorer(p)([[1, 1, 0], [0, 1, 2], [0, 1, 0]])
    np.testing.assert_array_equal(found["ap_a"], [1, np.nan, np.nan])
    np.testing.assert_array_equal(found["ap_b"], [np.nan, 1, np.nan])
    np.testing.assert_array_equal(found["map"], [1, 1, np.nan])
    np.testing.assert_array_equal(found["top3_label"], [1, 1, np.nan])


def test_equal_probabilities_have_the_prevalence():
    true = np.arange(40).reshape(10, 4) % 3 == 0
    found = point_estimate(made(np.full((10, 4), 0.25), true))
    assert found["map"] == pytest.approx(true.mean(0).mean(), abs=1e-12)


def test_top_three_by_hand():
    p = made(
        [
            [0.9, 0.8, 0.7, 0.1, 0.2],  # a b c
            [0.5, 0.5, 0.5, 0.5, 0.5],  # ties: a b c
            [0.1, 0.2, 0.3, 0.3, 0.2],  # c d, then b before e
            [0.0, 0.0, 0.1, 0.2, 0.3],  # c d e
        ],
        [
            [1, 0, 0, 1, 0],  # 1 of 2
            [0, 0, 0, 1, 1],  # 0 of 2
            [0, 1, 1, 1, 1],  # 3 of 4
            [0, 0, 0, 0, 0],  # nothing is true
        ],
    )
    found = point_estimate(p)
    assert found["top3_any"] == pytest.approx(2 / 4)
    assert found["top3_precision"] == pytest.approx((1 / 3 + 0 + 1 + 0) / 4)
    assert found["top3_recall"] == pytest.approx((1 / 2 + 0 + 3 / 4) / 3)
    assert found["top3_label"] == pytest.approx(4 / 8)
    # a 1/1, b 1/1, c 1/1, d 1/3, e 0/2
    assert found["top3_category"] == pytest.approx((1 + 1 + 1 + 1 / 3 + 0) / 5)


def test_of_many_equally_probable_categories_the_first_count():
    probability = np.random.default_rng(0).integers(0, 3, (50, 26)) / 2
    expected = np.zeros((50, 26), bool)
    for row, values in enumerate(probability):
        first = sorted((-value, k) for k, value in enumerate(values))[:3]
        expected[row, [k for _, k in first]] = True
    np.testing.assert_array_equal(most_probable(probability), expected)


def test_fewer_than_three_categories_are_all_among_the_three():
    found = point_estimate(made([[0.1, 0.2]] * 2, [[1, 0], [1, 1]]))
    assert found["top3_precision"] == pytest.approx(3 / 4)
    assert found["top3_recall"] == found["top3_label"] == 1


def test_without_probability_nothing_is_scored():
    p = replace(random_predictions(EMOTIC), probability=None, affect_pred=None)
    assert point_estimate(p) == {"n": 60}


def test_no_true_category_no_score():
    found = point_estimate(made([[0.3, 0.2]], [[0, 0]]))
    assert found == {"n": 1, "top3_any": 0, "top3_precision": 0}
