"""A model for AffectNet-8 is scored on AffectNet-7."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC
from cage_lightning.scores import point_estimate, without_contempt
from cage_lightning.training_statistics import TrainingStatistics
from tests.prediction_samples import of_categories, random_predictions
from tests.present import present


def test_without_contempt():
    p = random_predictions(AFFECTNET_8, 400)
    p = replace(
        p, training=TrainingStatistics("t", 9, range(8), [0, 0.5], [[k, -k] for k in range(8)])
    )
    seven = present(without_contempt(p))
    category, probability = present(p.category), present(p.probability)
    rows = category != 7
    assert seven.space == AFFECTNET_7
    assert seven.id.tolist() == p.id[rows].tolist()
    np.testing.assert_array_equal(present(seven.category), category[rows])
    np.testing.assert_array_equal(present(seven.affect_pred), present(p.affect_pred)[rows])
    np.testing.assert_array_equal(present(seven.category_pred), probability[rows, :7].argmax(1))
    assert (present(p.category_pred)[rows] == 7).any()  # and these are answered anew
    rescaled = present(seven.probability)
    np.testing.assert_allclose(rescaled.sum(1), 1)
    np.testing.assert_allclose(
        rescaled * probability[rows, :7].sum(1, keepdims=True), probability[rows, :7]
    )
    assert present(seven.training).counts == list(range(7))
    expected = np.mean(probability[rows, :7].argmax(1) == category[rows])
    assert point_estimate(seven)["accuracy"] == pytest.approx(expected)
    nothing_left = replace(p, probability=np.eye(8)[np.full(400, 7)])
    uniform = present(present(without_contempt(nothing_left)).probability)
    np.testing.assert_array_equal(uniform, 1 / 7)


def test_where_it_cannot_be_told():
    assert without_contempt(random_predictions(EMOTIC)) is None
    assert without_contempt(random_predictions(AFFECTNET_7)) is None
    p = random_predictions(AFFECTNET_8)
    assert without_contempt(of_categories(AFFECTNET_8, [0, 7, 1], [3, 7, 1])) is None
    assert without_contempt(replace(p, category=None, category_pred=None)) is None
    assert without_contempt(p.select(present(p.category) == 7)) is None


def test_affect_alone_follows_the_true_category():
    p = replace(random_predictions(AFFECTNET_8, 80), category_pred=None, probability=None)
    seven = present(without_contempt(p))
    rows = present(p.category) != 7
    np.testing.assert_array_equal(present(seven.affect_pred), present(p.affect_pred)[rows])
    assert seven.category_pred is None
