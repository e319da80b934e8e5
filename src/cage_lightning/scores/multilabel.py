"""Scores of samples to which any number of categories apply, from weighted sums."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.scores.ratio import ratio

TOP = 3
_EXACT = 2**24  # up to here float32 has every whole number


class MultiLabelScorer:
    """Scores of the probabilities of categories that do not exclude each other.

    - ``ap_<Category>``: average precision, sum over the distinct probabilities from high to low of
      (R_i - R_{i-1}) P_i, where P_i and R_i are precision and recall of calling positive all that
      is at least as probable. No interpolation; equals scikit-learn's. Undefined for a category
      that applies to no sample;
    - ``map``: their mean over the categories that have one.

    Top-3, with T_i the three most probable categories of person i (of equal ones the first), Y_i
    the true ones, and weights w_i:

    - ``top3_any`` = sum(w [T and Y meet]) / sum(w): at least one of the three is true;
    - ``top3_precision`` = sum(w |T and Y| / 3) / sum(w): how many of the three are true;
    - ``top3_recall`` = sum(w |T and Y| / |Y|) / sum(w) over the persons with a true category: how
      many of a person's categories are among the three;
    - ``top3_label`` = sum(w |T and Y|) / sum(w |Y|): how many of all true labels are;
    - ``top3_category``: mean over the categories k that apply to somebody of sum(w [k in T and Y])
      / sum(w [k in Y]).

    A person without any true category counts as a miss in the first two. Where there are fewer than
    three categories T_i is all of them.

    Args:
        predictions: Those of a multi-label space, with true categories and probabilities.
    """

    def __init__(self, predictions: Predictions) -> None:
        from scipy.sparse import csr_array

        probability = predictions.probability
        assert predictions.category is not None, "there are no true categories"
        assert probability is not None, "there are no probabilities to score"
        true = predictions.category.astype(bool)
        self.names = predictions.space.categories

        hit = true & most_probable(probability)
        n_hit, n_true = hit.sum(axis=1), true.sum(axis=1)
        of_three = n_hit / min(TOP, len(self.names))
        recall = n_hit / np.maximum(n_true, 1)
        by_person = [n_hit > 0, of_three, recall, n_true > 0, n_hit, n_true]
        self._top = np.column_stack([*by_person, hit, true]).astype(np.float64)

        # Precision changes the average only at a probability that a true sample has; all other
        # samples are counted at the next such probability below theirs: their step. Its two rows
        # add up the true samples and all samples.
        self._steps: list[Any] = []
        for k in range(len(self.names)):
            rank = np.unique(-probability[:, k], return_inverse=True)[1]
            ranks_of_true = np.unique(rank[true[:, k]])
            step = np.searchsorted(ranks_of_true, rank)
            counted = np.flatnonzero(step < len(ranks_of_true))
            hits = np.flatnonzero(true[:, k])
            row = np.concatenate([2 * step[hits], 2 * step[counted] + 1])
            at = row, np.concatenate([hits, counted])
            shape = 2 * len(ranks_of_true), len(true)
            self._steps.append(csr_array((np.ones(len(row), np.float32), at), shape=shape))

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Scores ``[R]``, NaN where undefined, for weights ``[R, N]``."""
        return self._average_precision(weights) | self._top_scores(weights)

    def _average_precision(self, weights: Floats) -> dict[str, Floats]:
        by_sample = np.ascontiguousarray(_short(weights).T)
        scores = {}
        for name, steps in zip(self.names, self._steps, strict=True):
            so_far = (steps @ by_sample).reshape(-1, 2, by_sample.shape[1])
            hits = so_far[:, 0].copy()
            _add_up(so_far)
            # Where nobody is called positive there is no hit.
            called = np.maximum(so_far[:, 1], np.finfo(np.float32).tiny)
            precision = np.divide(so_far[:, 0], called, dtype=np.float64)
            scores[f"ap_{name}"] = ratio((hits * precision).sum(axis=0), hits.sum(axis=0))
        return scores | {"map": _mean(np.stack(list(scores.values()), axis=1))}

    def _top_scores(self, weights: Floats) -> dict[str, Floats]:
        n, sums = weights.sum(axis=1), weights @ self._top
        any_hit, of_three, recall, labelled, n_hit, n_true = sums[:, :6].T
        hit, true = np.split(sums[:, 6:], 2, axis=1)
        return {
            f"top{TOP}_any": ratio(any_hit, n),
            f"top{TOP}_precision": ratio(of_three, n),
            f"top{TOP}_recall": ratio(recall, labelled),
            f"top{TOP}_label": ratio(n_hit, n_true),
            f"top{TOP}_category": _mean(ratio(hit, true)),
        }


def most_probable(probability: Floats) -> npt.NDArray[np.bool_]:
    """The three most probable of ``[N, K]`` as a mask; of equal ones the first in order.

    >>> most_probable(np.array([[0.1, 0.5, 0.1, 0.9, 0.1]])).tolist()
    [[True, True, False, True, False]]
    """
    top = np.argsort(-probability, axis=1, kind="stable")[:, :TOP]
    mask = np.zeros(probability.shape, dtype=bool)
    np.put_along_axis(mask, top, True, axis=1)
    return mask


def _short(weights: Floats) -> npt.NDArray[np.floating[Any]]:
    """The same weights in half the room where they count samples, whose sums are exact, too."""
    short = weights.astype(np.float32)
    are_counts = np.array_equal(np.rint(short), weights)
    return short if are_counts and weights.sum(axis=1).max(initial=0) < _EXACT else weights


def _add_up(rows: npt.NDArray[np.floating[Any]]) -> None:
    """Put sums over the first axis in the place of the values.

    Row by row: `cumsum` goes along the columns, which takes several times as long.
    """
    for before, row in pairwise(rows):
        np.add(before, row, out=row)


def _mean(values: Floats) -> Floats:
    """Mean over the columns of ``[R, K]`` that are not NaN; NaN where none is left."""
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0).sum(axis=1), there.sum(axis=1))
