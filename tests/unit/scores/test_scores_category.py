"""Scores of one category each: published confusion matrices, and scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics

from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, LabelSpace
from cage_lightning.scores import Scorer, point_estimate
from tests.prediction_samples import of_categories, random_predictions
from tests.present import present

# Figure 9 of the paper and its seven-class counterpart: MaxViT, combined; rows are the true ones.
PUBLISHED = {
    AFFECTNET_8: """
        279   12   33   47    8   19   36   66
         15  360    2   19    1   12    3   88
         64    5  314   14   20   29   38   16
         40   27   15  304   65   26   12   11
         12    8   35   83  308   29   22    3
         26    8   31   17   15  302   81   20
         60    3   25   23   19   58  289   23
         65   45   10   10    4   29   18  318
    """,
    AFFECTNET_7: """
        304   29   39   56   12   15   45
         28  429    3   32    0    7    1
         59    6  331   16   25   24   39
         30   31   14  333   69   17    6
          9    9   34   76  330   24   18
         24   17   34   24   19  302   80
         51    9   27   26   32   53  302
    """,
}
NAMES = (
    "accuracy",
    "precision_weighted",
    "f1_weighted",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "cohen_kappa",
    "mcc",
)
EXPECTED = {
    AFFECTNET_8: (0.618655, 0.623971, 0.620380, 0.623961, 0.618659, 0.620378, 0.564178, 0.564420),
    AFFECTNET_7: (0.666000, 0.666508, 0.665431, 0.666508, 0.666000, 0.665431, 0.610333, 0.610590),
}
BY_CATEGORY: dict[LabelSpace, dict[str, tuple[float, ...]]] = {
    AFFECTNET_8: {
        "precision": (0.497326, 0.769231, 0.675269, 0.588008, 0.7, 0.599206, 0.579158, 0.583486),
        "recall": (0.558, 0.72, 0.628, 0.608, 0.616, 0.604, 0.578, 0.637275),
        "f1": (0.525919, 0.743802, 0.650777, 0.597837, 0.655319, 0.601594, 0.578579, 0.609195),
    },
    AFFECTNET_7: {
        "precision": (0.60198, 0.809434, 0.686722, 0.591474, 0.677618, 0.683258, 0.615071),
        "recall": (0.608, 0.858, 0.662, 0.666, 0.66, 0.604, 0.604),
        "f1": (0.604975, 0.83301, 0.674134, 0.626529, 0.668693, 0.641189, 0.609485),
    },
}


@pytest.mark.parametrize("space", PUBLISHED, ids=lambda s: s.name)
def test_published_confusion_matrices(space):
    counts = np.array([row.split() for row in PUBLISHED[space].strip().splitlines()], int)
    true, predicted = (
        np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape)
    )
    found = point_estimate(of_categories(space, true, predicted))
    assert [found[name] for name in NAMES] == pytest.approx(EXPECTED[space], abs=1e-6)
    assert found["recall_weighted"] == pytest.approx(found["accuracy"], abs=1e-15)
    for score, values in BY_CATEGORY[space].items():
        by_category = [found[f"{score}_{category}"] for category in space.categories]
        assert by_category == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        (range(8), range(8)),
        ([0, 1, 2, 4, 5], range(8)),  # predicted, but not among the targets
        (range(8), [0, 1, 3]),  # never predicted
        ([1, 2, 4], [0, 1, 4]),  # in neither
        ([0, 1], [3]),  # constant and always wrong
        (range(8), [3]),  # constant
        ([3], range(8)),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_equal_to_scikit_learn(true, predicted, weighted):
    rng = np.random.default_rng(len(true) * 10 + len(predicted))
    y, x = rng.choice(list(true), 200), rng.choice(list(predicted), 200)
    w = rng.uniform(0, 2, 200) if weighted else np.ones(200)
    found = {k: v[0] for k, v in Scorer(of_categories(AFFECTNET_8, y, x))(w[None]).items()}
    assert found["accuracy"] == pytest.approx(
        metrics.accuracy_score(y, x, sample_weight=w), abs=1e-9
    )
    names = ("precision", "recall", "f1")
    for average in ("weighted", "macro"):
        expected = metrics.precision_recall_fscore_support(
            y, x, average=average, zero_division=0, sample_weight=w
        )[:3]
        assert [found[f"{s}_{average}"] for s in names] == pytest.approx(expected, abs=1e-9)
    expected = np.stack(
        metrics.precision_recall_fscore_support(
            y, x, labels=range(8), zero_division=0, sample_weight=w
        )[:3]
    )
    expected[:, ~np.isin(range(8), [*y, *x])] = np.nan
    by_category = [[found[f"{s}_{c}"] for c in AFFECTNET_8.categories] for s in names]
    np.testing.assert_allclose(by_category, expected, atol=1e-9)
    kappa = metrics.cohen_kappa_score(y, x, sample_weight=w)
    assert found["cohen_kappa"] == pytest.approx(kappa, abs=1e-9)
    mcc = metrics.matthews_corrcoef(y, x, sample_weight=w)
    assert found["mcc"] == pytest.approx(mcc, abs=1e-9)


def test_all_of_one_category():
    found = point_estimate(of_categories(AFFECTNET_7, [2, 2], [2, 2]))
    assert found["accuracy"] == found["f1_macro"] == found["f1_Sadness"] == 1
    assert found["mcc"] == 0  # as in scikit-learn
    assert "cohen_kappa" not in found
    assert "f1_Fear" not in found


def calibration_error(confidence, right) -> float:
    """Calibration error as in the code of Guo et al.: bins of 1/15, closed on the right."""
    edges = np.linspace(0, 1, 16)
    error = 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    return error


def test_calibration_error():
    p = random_predictions(AFFECTNET_8, 500)
    probability = present(p.probability)
    confidence, right = probability.max(1), probability.argmax(1) == p.category
    expected = calibration_error(confidence, right)
    assert point_estimate(p)["ece"] == pytest.approx(expected, abs=1e-9)
    rng = np.random.default_rng(0)
    edges = np.zeros((60, 8))
    edges[:, 0] = np.tile(np.linspace(0, 1, 16)[1:], 4) - rng.choice([0, 0.03], 60)
    p = of_categories(AFFECTNET_8, rng.integers(0, 2, 60), np.zeros(60, int), edges)
    expected = calibration_error(edges[:, 0], p.category == 0)
    assert point_estimate(p)["ece"] == pytest.approx(expected, abs=1e-12)
    assert "ece" not in point_estimate(of_categories(AFFECTNET_8, [0, 1], [0, 2]))


def test_samples_without_a_category_are_left_out_and_counted():
    p = random_predictions(AFFECTNET_8, 90)
    known = np.arange(90) % 3 > 0
    some = replace(p, category=np.where(known, present(p.category), -1))
    scores, expected = point_estimate(some), point_estimate(p.select(known))
    assert scores.pop("n_unlabelled_category") == 30
    for key, value in scores.items():
        if not key.endswith(("valence", "arousal", "pooled", "mean")) and not key.startswith("n"):
            assert value == pytest.approx(expected[key], abs=1e-12), key
