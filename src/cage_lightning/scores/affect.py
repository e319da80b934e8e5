"""Scores of the continuous affect dimensions, from weighted sums."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import DataError
from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.scores.ratio import ratio

POOLED, MEAN = "pooled", "mean"
UNLABELLED = "n_unlabelled_affect"

# Definition of the concordance -> what is subtracted from n in the divisor of the covariance, and
# in that of the variances.
_CONCORDANCES = {"ccc": (1, 1), "ccc_mixed_ddof": (1, 0), "ccc_population": (0, 0)}

# A second moment below this share of the mean square is what rounding left of zero.
_ROUNDING = 1e-12


class AffectScorer:
    """Scores of each affect dimension, and of all of them pooled into one vector.

    Of pairs (x predicted, y true) with sums over the labelled samples, weights w, n = sum(w):

    - ``mse`` = sum(w (x - y)^2) / n, ``rmse`` its root, ``mae`` = sum(w |x - y|) / n;
    - ``ccc`` = 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2), Lin 1989, with all second moments divided
      by n - 1. ``ccc_population`` divides them by n; ``ccc_mixed_ddof``, the published evaluation,
      the covariance by n - 1 and the variances by n, so that it can exceed 1. Where all pairs are
      one and the same number they are 1; a single pair is 0 unless its sides are equal;
    - ``pearson`` = s_xy / (s_x s_y), undefined where a side does not vary;
    - ``sagr``, sign agreement (Nicolaou et al. 2011): the share of pairs with sign(x) = sign(y). 0
      is a sign of its own: it agrees only with 0, as in EmoNet's evaluation;
    - ``ccc_mean``: the mean of ``ccc`` over the dimensions, where each has one; of valence and
      arousal the P_VA of the ABAW challenges (Kollias 2022, "ABAW: Valence-Arousal Estimation,
      Expression Recognition, Action Unit Detection & Multi-Task Learning Challenges").

    Keys are ``<score>_<dimension>`` and ``<score>_pooled``. Where the dataset has a scale of its
    own, ``{mse,mae,rmse}_<dimension>_native`` as well. ``n_unlabelled_affect`` counts the samples
    that lack the label of at least one dimension.

    Args:
        predictions: With affect predicted.

    Raises:
        DataError: A prediction for a labelled sample is not finite.
    """

    def __init__(self, predictions: Predictions) -> None:
        x, y = predictions.affect_pred, predictions.affect
        assert x is not None, "there is no predicted affect to score"
        labelled = ~np.isnan(y)
        if (diverged := labelled & ~np.isfinite(x)).any():
            row, dimension = np.argwhere(diverged)[0]
            raise DataError(
                f"sample {predictions.id[row]}: the predicted "
                f"{predictions.space.dimensions[dimension]} is {x[row, dimension]}: the model "
                "diverged; train it again, for example with a smaller learning rate"
            )
        self.space = predictions.space
        self._pairs = [(x[:, [d]], y[:, [d]]) for d in range(x.shape[1])]
        self._features = np.stack([_features(*pair) for pair in (*self._pairs, (x, y))], axis=1)
        self._unlabelled = (~labelled).any(axis=1).astype(np.float64)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Scores ``[R]``, NaN where undefined, for weights ``[R, N]``."""
        sums = np.tensordot(weights, self._features, axes=1)  # [R, D + 1, 10]
        low, high = self.space.native_range
        scores = {UNLABELLED: weights @ self._unlabelled}
        for i, name in enumerate((*self.space.dimensions, POOLED)):
            of_column = _scores(*sums[:, i].T)
            scores |= {f"{key}_{name}": values for key, values in of_column.items()}
            if (low, high) != (-1, 1) and name != POOLED:
                unit = (high - low) / 2  # what 1 on the scale from -1 to 1 is on the native one
                for key, scale in (("mse", unit**2), ("mae", unit), ("rmse", unit)):
                    scores[f"{key}_{name}_native"] = of_column[key] * scale
        by_dimension = [scores[f"ccc_{name}"] for name in self.space.dimensions]
        scores[f"ccc_{MEAN}"] = np.mean(by_dimension, axis=0)
        return scores

    def within(self, group: npt.NDArray[np.int64], count: int) -> Floats:
        """The ``ccc`` of the samples within each group, ``[count, D]``.

        Args:
            group: The number of the group of each sample, ``[N]``, below `count`.
            count: How many there are.

        Returns:
            NaN for a group and a dimension with fewer than two labelled samples.
        """
        found = np.full((count, len(self._pairs)), np.nan)
        for d, (x, y) in enumerate(self._pairs):
            sums = np.zeros((count, self._features.shape[2]))
            np.add.at(sums, group, _features(x, y, group))
            np.copyto(found[:, d], _scores(*sums.T)["ccc"], where=sums[:, 0] >= 2)
        return found


def _features(x: Floats, y: Floats, group: npt.NDArray[np.int64] | None = None) -> Floats:
    """What `_scores` needs the sums of, ``[N, 10]``, from pairs ``[N, C]`` that are pooled.

    They may be summed over all of the samples or, where groups are given, over those of each.
    """
    labelled = ~np.isnan(y)
    dx, dy = (np.where(labelled, values - _origin(values, labelled, group), 0) for values in (x, y))
    error = np.where(labelled, x - y, 0)
    agree = labelled & (np.sign(x) == np.sign(y))
    features = (labelled, dx, dy, dx**2, dy**2, dx * dy, error, error**2, abs(error), agree)
    return np.stack([feature.sum(axis=1, dtype=np.float64) for feature in features], axis=1)


def _origin(
    values: Floats, labelled: npt.NDArray[np.bool_], group: npt.NDArray[np.int64] | None
) -> Floats:
    """What to centre by: one of the values that are summed, so that a constant becomes exactly 0.

    The middle one of all of them; within groups the first one of each, ``[N, 1]``.
    """
    if group is None:
        there = np.sort(values[labelled])
        return there[[len(there) // 2]] if len(there) else np.zeros(1)
    rows = np.flatnonzero(labelled[:, 0])
    groups, first = np.unique(group[rows], return_index=True)
    origins = np.zeros(group.max(initial=-1) + 1)
    origins[groups] = values[rows[first], 0]
    return origins[group][:, None]


def _scores(
    n: Floats,
    x: Floats,
    y: Floats,
    xx: Floats,
    yy: Floats,
    xy: Floats,
    error: Floats,
    squared: Floats,
    absolute: Floats,
    agree: Floats,
) -> dict[str, Floats]:
    """The scores from the weighted sums of `_features`, all ``[R]``."""
    mse = ratio(squared, n)
    scores = {"mse": mse, "mae": ratio(absolute, n), "rmse": np.sqrt(mse)}
    mean_error = ratio(error, n)
    var_x, var_y = (
        np.where((moment := square - ratio(total**2, n, 0)) > _ROUNDING * square, moment, 0)
        for square, total in ((xx, x), (yy, y))
    )
    covariance = np.where((var_x > 0) & (var_y > 0), xy - ratio(x * y, n, 0), 0)
    for name, degrees in _CONCORDANCES.items():
        for_covariance, for_variance = (np.maximum(n - by, 1) for by in degrees)
        spread = var_x + var_y + for_variance * mean_error**2
        scores[name] = ratio(2 * covariance * (for_variance / for_covariance), spread, 1)
    scores["pearson"] = ratio(covariance, np.sqrt(var_x) * np.sqrt(var_y))
    scores["sagr"] = ratio(agree, n)
    return scores
