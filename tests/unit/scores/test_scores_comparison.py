"""Two models are compared on the same samples."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC
from cage_lightning.scores import COUNTS, compare, point_estimate
from tests.prediction_samples import of_categories, random_predictions
from tests.present import present


@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC], ids=lambda s: s.name)
def test_a_file_does_not_differ_from_itself(space):
    p = random_predictions(space)
    found = compare(p, p.select(np.random.default_rng(0).permutation(60)), 100)
    assert found.mcnemar == (None if space.multi_label else 1)
    assert set(found.differences) == set(point_estimate(p)) - set(COUNTS)
    for difference in found.differences.values():
        assert difference.a == pytest.approx(difference.b, abs=1e-12)
        assert difference.difference == pytest.approx(0, abs=1e-12)
        assert (difference.low, difference.high, difference.p) == (0, 0, 1)


def test_a_better_model_is_better_in_the_order_of_its_own_file():
    a = random_predictions(AFFECTNET_8, 300)
    affect_pred = present(a.affect_pred) / 2 + np.nan_to_num(a.affect)
    b = replace(a, category_pred=a.category, affect_pred=affect_pred)
    found = compare(a, b.select(np.arange(300)[::-1]), 999)
    accuracy = found.differences["accuracy"]
    assert accuracy.b == 1
    assert accuracy.difference == pytest.approx(1 - point_estimate(a)["accuracy"])
    assert 0 < accuracy.low < accuracy.difference < accuracy.high
    assert accuracy.p == pytest.approx(2 / 1000)
    assert found.differences["mse_valence"].high < 0
    assert compare(b, a, 999).differences["accuracy"].difference == -accuracy.difference


def test_p_is_twice_the_smaller_tail():
    rng = np.random.default_rng(0)
    true = np.zeros(50, int)
    a, b = (of_categories(AFFECTNET_8, true, rng.random(50) > share) for share in (0.5, 0.62))
    a, b = (replace(file, category_pred=present(file.category_pred).astype(int)) for file in (a, b))
    found = compare(a, b, 20_000).differences["accuracy"]
    gains = (present(b.category_pred) == 0).astype(int) - (present(a.category_pred) == 0)
    assert 0 < gains.sum() < 12
    sums = gains[rng.integers(50, size=(20_000, 50))].sum(axis=1)
    expected = 2 * min((sums <= 0).mean(), (sums >= 0).mean())
    assert found.p == pytest.approx(expected, abs=0.02)


def test_mcnemar_by_hand():
    true = np.zeros(20, int)
    a, b = np.zeros(20, int), np.zeros(20, int)
    a[:9] = 1  # only b is right
    b[9:11] = 1  # only a is right
    a[12] = b[12] = 1
    found = compare(of_categories(AFFECTNET_8, true, a), of_categories(AFFECTNET_8, true, b), 10)
    assert found.mcnemar == pytest.approx(2 * sum(comb(11, k) for k in range(3)) / 2**11)


def test_only_what_both_have():
    p = random_predictions(AFFECTNET_8)
    affect = replace(p, category=None, category_pred=None, probability=None)
    found = compare(affect, p, 10)
    assert found.mcnemar is None
    assert "accuracy" not in found.differences
    assert "ccc_pooled" in found.differences
    assert compare(p, affect, 10).differences["mse_pooled"].low == 0


def test_what_cannot_be_compared():
    p = random_predictions(AFFECTNET_8)
    with pytest.raises(ConfigError, match="affectnet8 and affectnet7"):
        compare(p, replace(p, space=AFFECTNET_7))
    with pytest.raises(ConfigError, match=r"only the first file has sample sample/7 \(1 such"):
        compare(p, p.select(np.arange(60) != 7))
    with pytest.raises(ConfigError, match="only the second file has sample sample/7"):
        compare(p.select(np.arange(60) != 7), p)
    with pytest.raises(ConfigError, match="the second file has 1 ids twice"):
        compare(p, p.select(np.array([*range(60), 3])))
    assert p.category is not None
    category = p.category.copy()
    category[4] = (category[4] + 1) % 8
    with pytest.raises(ConfigError, match="sample sample/4: the true category"):
        compare(p, replace(p, category=category))
    affect = p.affect.astype(np.float16).astype(np.float64)
    compare(p, replace(p, affect=affect), 10)
    affect[9, 1] = 0.987
    with pytest.raises(ConfigError, match=r"sample sample/9: the true affect is .*0.987"):
        compare(p, replace(p, affect=affect))


def test_files_without_a_common_score_are_refused():
    p = random_predictions(AFFECTNET_8)
    categories = replace(p, affect_pred=None)
    affect = replace(p, category_pred=None, probability=None)
    with pytest.raises(ConfigError, match="no score in common"):
        compare(categories, affect, 10)
