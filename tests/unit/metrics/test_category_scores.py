from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, average_precision_score, precision_recall_fscore_support

from cage_lightning.metrics.category import confusion_scores, mean_average_precision

# Figure 9 of the paper and its seven-class counterpart: MaxViT, combined; rows are the true ones.
AFFECTNET_8 = """
    279   12   33   47    8   19   36   66
     15  360    2   19    1   12    3   88
     64    5  314   14   20   29   38   16
     40   27   15  304   65   26   12   11
     12    8   35   83  308   29   22    3
     26    8   31   17   15  302   81   20
     60    3   25   23   19   58  289   23
     65   45   10   10    4   29   18  318
"""
AFFECTNET_7 = """
    304   29   39   56   12   15   45
     28  429    3   32    0    7    1
     59    6  331   16   25   24   39
     30   31   14  333   69   17    6
      9    9   34   76  330   24   18
     24   17   34   24   19  302   80
     51    9   27   26   32   53  302
"""
NAMES = (
    "accuracy",
    "precision_weighted",
    "f1_weighted",
    "precision_macro",
    "recall_macro",
    "f1_macro",
)
PUBLISHED = {
    AFFECTNET_8: (0.618655, 0.623971, 0.620380, 0.623961, 0.618659, 0.620378),
    AFFECTNET_7: (0.666000, 0.666508, 0.665431, 0.666508, 0.666000, 0.665431),
}


def counts(matrix: str) -> torch.Tensor:
    return torch.tensor([[int(n) for n in row.split()] for row in matrix.strip().splitlines()])


@pytest.mark.parametrize("matrix", PUBLISHED)
def test_published_confusion_matrices(matrix):
    scores = confusion_scores(counts(matrix))
    assert [scores[name] for name in NAMES] == pytest.approx(PUBLISHED[matrix], abs=1e-6)
    assert scores["recall_weighted"] == pytest.approx(scores["accuracy"], abs=1e-15)


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        (range(6), range(6)),
        ([0, 1, 2, 4, 5], range(6)),  # predicted, but not among the targets
        (range(6), [0, 1, 3]),  # never predicted
        ([1, 2, 4], [0, 1, 4]),  # in neither: left out of the macro average
        ([0, 1], [3]),  # constant and always wrong
    ],
)
def test_equal_to_scikit_learn(true, predicted):
    rng = np.random.default_rng(len(true) * 10 + len(predicted))
    y, x = rng.choice(list(true), 200), rng.choice(list(predicted), 200)
    confusion = np.zeros((6, 6), dtype=np.int64)
    np.add.at(confusion, (y, x), 1)
    scores = confusion_scores(torch.from_numpy(confusion))
    assert scores["accuracy"] == pytest.approx(accuracy_score(y, x), abs=1e-12)
    for average in ("weighted", "macro"):
        expected = precision_recall_fscore_support(y, x, average=average, zero_division=0)[:3]
        found = [scores[f"{name}_{average}"] for name in ("precision", "recall", "f1")]
        assert found == pytest.approx(expected, abs=1e-12)


def test_no_sample_no_score():
    assert confusion_scores(torch.zeros(3, 3, dtype=torch.int64)) == {}


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_average_precision_is_that_of_scikit_learn(scale):
    rng = np.random.default_rng(3)
    x = np.round(scale * rng.normal(size=(300, 26)), 1)  # rounded: with ties
    y = rng.random((300, 26)) < rng.uniform(0.05, 0.5, 26)
    y[:, 7] = False  # applies to nobody: left out
    y[:, 9] = True
    expected = average_precision_score(y[:, np.arange(26) != 7], np.delete(x, 7, 1))
    found = mean_average_precision(torch.tensor(x), torch.tensor(y).float())
    assert found == {"map": pytest.approx(expected, abs=1e-7)}


def test_no_positive_no_average_precision():
    assert mean_average_precision(torch.randn(4, 3), torch.zeros(4, 3)) == {}


def test_a_single_category_has_an_average_precision() -> None:
    scores, targets = (
        torch.tensor([[3.0, 1], [2, 2], [1, 3]]),
        torch.tensor([[1, 0], [0, 0], [1, 0]]),
    )
    assert mean_average_precision(scores, targets) == {"map": pytest.approx(5 / 6)}
