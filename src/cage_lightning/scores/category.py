"""Scores of samples with exactly one category, from weighted sums."""

from __future__ import annotations

import numpy as np

from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.scores.calibration import calibration_error, surplus
from cage_lightning.scores.ratio import ratio

UNLABELLED = "n_unlabelled_category"

# A difference below this share of its terms is what rounding left of zero.
_ROUNDING = 1e-12


class CategoryScorer:
    """Scores of the predicted category.

    With hits h_k, true t_k and predicted p_k weighted counts of category k, n = sum(t):

    - ``accuracy`` = sum(h) / n;
    - ``precision_<Category>`` = h_k / p_k, ``recall_<Category>`` = h_k / t_k, ``f1_<Category>`` =
      2 h_k / (t_k + p_k). 0/0 counts as 0, but a category that occurs neither among the truth nor
      among the predictions has none of the three;
    - ``_weighted`` averages by t_k, ``_macro`` evenly over the categories that occur among truth or
      predictions; both as scikit-learn does;
    - ``cohen_kappa`` = (n sum(h) - sum(t p)) / (n^2 - sum(t p)), Cohen 1960; undefined where truth
      and prediction are one and the same category throughout;
    - ``mcc`` = (n sum(h) - sum(t p)) / sqrt((n^2 - sum(p^2)) (n^2 - sum(t^2))), Gorodkin 2004; 0
      where truth or prediction is constant, as in scikit-learn;
    - ``ece``, if there are probabilities: the expected calibration error, sum over the bins of
      |sum(w (correct - confidence))| / n (see `scores.calibration`).

    ``n_unlabelled_category`` counts the samples without a true category, which the others leave
    out.

    Args:
        predictions: Those of a single-label space, with true and predicted categories.
    """

    def __init__(self, predictions: Predictions) -> None:
        true, predicted = predictions.category, predictions.category_pred
        assert true is not None, "there are no true categories"
        assert predicted is not None, "there are no predicted categories to score"
        self.names = predictions.space.categories
        of, labelled = np.eye(len(self.names)), (true >= 0)[:, None]
        hit = of[true] * (true == predicted)[:, None]
        self._counts = labelled * np.concatenate([hit, of[true], of[predicted]], axis=1)
        self._unlabelled = 1.0 - labelled[:, 0]
        self._surplus = None
        if predictions.probability is not None:
            self._surplus = labelled * surplus(predictions.probability, true)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Scores ``[R]``, NaN where undefined, for weights ``[R, N]``."""
        hits, true, predicted = np.split(weights @ self._counts, 3, axis=1)
        n, hit = true.sum(axis=1), hits.sum(axis=1)
        by_category = {
            "precision": ratio(hits, predicted, 0),
            "recall": ratio(hits, true, 0),
            "f1": ratio(2 * hits, true + predicted, 0),
        }
        occurs = true + predicted > 0
        scores = {UNLABELLED: weights @ self._unlabelled, "accuracy": ratio(hit, n)}
        for average, share in (("weighted", true), ("macro", occurs.astype(np.float64))):
            for name, values in by_category.items():
                scores[f"{name}_{average}"] = ratio((share * values).sum(axis=1), share.sum(axis=1))
        for k, category in enumerate(self.names):
            for name, values in by_category.items():
                scores[f"{name}_{category}"] = np.where(occurs[:, k], values[:, k], np.nan)
        by_chance, true_square, predicted_square = (
            (a * b).sum(axis=1)
            for a, b in ((true, predicted), (true, true), (predicted, predicted))
        )
        beyond_chance = n * hit - by_chance
        scores["cohen_kappa"] = ratio(beyond_chance, _rest(n, by_chance))
        scores["mcc"] = np.where(
            n > 0,
            ratio(beyond_chance, np.sqrt(_rest(n, true_square) * _rest(n, predicted_square)), 0),
            np.nan,
        )
        if self._surplus is not None:
            scores["ece"] = calibration_error(weights @ self._surplus, n)
        return scores


def _rest(n: Floats, part: Floats) -> Floats:
    """n^2 - part, not below 0."""
    rest = n**2 - part
    return np.where(rest > _ROUNDING * n**2, rest, 0)
