"""Random predictions for tests of scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cage_lightning.labels import LabelSpace
from cage_lightning.predictions.table import Predictions, predictions_of


def random_predictions(
    space: LabelSpace, n: int = 60, seed: int = 0, model: Sequence[int] | None = None
) -> Predictions:
    """Predictions better than chance, with ties among the probabilities and some NaN affect.

    Those of several models have the same truth.
    """
    rng = np.random.default_rng(seed)
    noise = rng if model is None else np.random.default_rng(model)
    k, d = len(space.categories), len(space.dimensions)
    category: np.ndarray
    signal: np.ndarray
    if space.multi_label:
        signal = category = rng.random((n, k)) < np.linspace(0.05, 0.4, k)
    else:
        category = rng.integers(0, k, n)
        signal = np.eye(k)[category]
    logits = np.round(signal + noise.normal(size=(n, k)), 1)
    affect = rng.uniform(-1, 1, (n, d))
    affect_pred = 0.5 * affect + noise.normal(0.1, 0.3, (n, d))
    affect[rng.random((n, d)) < 0.05] = np.nan
    ids = np.array([f"sample/{i}" for i in range(n)])
    return predictions_of(space, logits, affect_pred, space, ids, category, affect)


def of_affect(space: LabelSpace, x, y) -> Predictions:
    """Predictions of affect alone: `x` predicted, `y` true ``[N, D]``, NaN where not annotated."""
    x, y = (np.asarray(v, np.float64).reshape(-1, len(space.dimensions)) for v in (x, y))
    ids = np.array([str(i) for i in range(len(x))])
    return Predictions(space, ids, None, y, None, None, x)


def of_categories(space: LabelSpace, true, predicted, probability=None) -> Predictions:
    """Predictions of categories alone: true and predicted, each ``[N]`` or ``[N, K]``."""
    true, predicted = np.asarray(true), np.asarray(predicted)
    ids = np.array([str(i) for i in range(len(true))])
    affect = np.full((len(true), len(space.dimensions)), np.nan)
    return Predictions(space, ids, true, affect, predicted, probability, None)
