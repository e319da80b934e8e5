"""What simple rules predict, and what chance is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC
from cage_lightning.scores import baselines, chance, point_estimate, without_contempt
from cage_lightning.scores.baselines import published_training
from cage_lightning.training_statistics import TrainingStatistics
from tests.prediction_samples import of_affect, of_categories, random_predictions
from tests.present import present

THREE = replace(AFFECTNET_8, name="three", categories=("a", "b", "c"))
TRAINING = TrainingStatistics(
    source="here",
    n=10,
    counts=[2, 5, 3],
    affect=[0.1, 0.2],
    affect_by_category=[[-0.5, 0], [0.5, 0], [None, None]],
)


def test_by_hand():
    p = of_categories(THREE, [0, 1, 2], [1, 2, 0])
    p = replace(p, affect=np.zeros((3, 2)), affect_pred=np.array([[-1.0, 3], [0.1, 0], [-0.1, 0]]))
    assert baselines(p) == {}
    found = baselines(replace(p, training=TRAINING))
    assert list(found) == ["constant", "constant_balanced", "lookup", "nearest"]
    assert present(found["constant"].affect_pred).tolist() == [[0.1, 0.2]] * 3
    assert present(found["constant"].category_pred).tolist() == [1, 1, 1]
    probability = present(found["constant"].probability)
    np.testing.assert_allclose(probability, np.array([[0.2, 0.5, 0.3]] * 3))
    assert present(found["constant_balanced"].affect_pred).tolist() == [[0, 0]] * 3
    assert present(found["lookup"].affect_pred).tolist() == [[0.5, 0], [0.1, 0.2], [-0.5, 0]]
    assert present(found["nearest"].category_pred).tolist() == [0, 1, 0]
    assert all(baseline.training == TRAINING for baseline in found.values())
    for name, kinds in {
        "constant_balanced": "affect",
        "lookup": "affect",
        "nearest": "cat",
    }.items():
        assert (found[name].affect_pred is None) == (kinds == "cat")
        assert (found[name].category_pred is None) == (kinds == "affect")
        assert found[name].probability is None


def test_what_a_file_does_not_allow_is_absent():
    categories = replace(of_categories(THREE, [0, 1], [1, 2]), training=TRAINING)
    assert "nearest" not in baselines(categories)
    affect = replace(of_affect(THREE, [[0, 0]], [[0, 0]]), training=TRAINING)
    found = baselines(affect)
    assert list(found) == ["constant", "constant_balanced"]
    assert found["constant"].category_pred is None
    unlabelled = replace(TRAINING, affect=[None, None], affect_by_category=[[None, None]] * 3)
    found = baselines(replace(categories, training=unlabelled))
    assert list(found) == ["constant"]
    assert found["constant"].affect_pred is None


def test_of_a_smaller_label_space():
    p = replace(random_predictions(AFFECTNET_8), training=published_training(AFFECTNET_8))
    found = baselines(present(without_contempt(p)))
    np.testing.assert_allclose(present(found["constant"].probability).sum(axis=1), 1)
    unknown = TrainingStatistics("none", 0, [0] * 8, [None] * 2, [[None] * 2] * 8)
    assert baselines(replace(p, training=unknown)) == {}


def test_several_categories():
    space = replace(THREE, multi_label=True)
    true = np.array([[1, 0, 0], [0, 1, 1], [0, 1, 0], [1, 1, 0]], bool)
    predicted = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]], bool)
    found = baselines(replace(of_categories(space, true, predicted), training=TRAINING))
    assert list(found) == ["constant", "constant_balanced", "lookup"]
    looked_up = present(found["lookup"].affect_pred)
    assert looked_up.tolist() == [[0, 0], [0.1, 0.2], [-0.5, 0], [0.1, 0.2]]
    assert present(found["constant"].category_pred).tolist() == [[False, True, False]] * 4
    assert point_estimate(found["constant"])["map"] == pytest.approx(
        chance(found["constant"])["map"], abs=1e-12
    )


def test_published_statistics():
    eight, seven = (present(published_training(space)) for space in (AFFECTNET_8, AFFECTNET_7))
    assert eight.n == sum(eight.counts) == 287_651
    assert seven.n == 283_901
    assert "287,651" in eight.source
    assert eight.affect == pytest.approx([0.1898, 0.1195], abs=1e-4)
    assert published_training(EMOTIC) is None
    found = baselines(random_predictions(AFFECTNET_8))
    assert present(found["constant"].category_pred).tolist() == [1] * 60
    without = present(without_contempt(random_predictions(AFFECTNET_8)))
    assert baselines(without)["lookup"].training == seven


def test_a_lookup_of_the_true_category():
    p = random_predictions(AFFECTNET_8, 400)
    means = np.array(present(published_training(AFFECTNET_8)).affect_by_category)
    oracle = replace(p, category_pred=p.category, affect=means[p.category])
    found = point_estimate(baselines(oracle)["lookup"])
    assert found["ccc_pooled"] == pytest.approx(1)
    nearest = baselines(replace(oracle, affect_pred=means[p.category]))["nearest"]
    assert point_estimate(nearest)["accuracy"] == 1


def test_chance_is_what_guessing_yields():
    p = random_predictions(EMOTIC, 600)
    rng = np.random.default_rng(1)  # not the one behind the samples
    guesses = [
        point_estimate(replace(p, probability=rng.random((600, 26)), affect_pred=None))
        for _ in range(60)
    ]
    expected = chance(p)
    assert expected["top3_label"] == expected["top3_category"] == expected["top3_recall"] == 3 / 26
    for key, value in expected.items():
        found = np.mean([guess[key] for guess in guesses])
        # Random order in a small set is worth a little more than the prevalence.
        assert found == pytest.approx(value, abs=0.02 if key == "map" else 0.005), key
    guess = {"accuracy": 1 / 8, "recall_weighted": 1 / 8}
    assert chance(random_predictions(AFFECTNET_8)) == guess
    assert chance(of_affect(AFFECTNET_8, [[0, 0]], [[0, 0]])) == {}
