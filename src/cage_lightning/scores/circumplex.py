"""Where categories and true valence contradict each other: a sign of another order of categories.

On the circumplex, happiness is pleasant and sadness is not (Russell 1980, "A Circumplex Model of
Affect"). A network whose outputs are in another order of categories than they are read in still
yields scores that look like those of a bad network.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cage_lightning.predictions.table import Categories, Predictions

_SIGNS = {"Happiness": 1, "Sadness": -1}
_FEWEST = 10  # samples of a category
_STANDARD_ERRORS = 2.0  # between the mean and 0


def contradictions(predictions: Predictions) -> list[str]:
    """What contradicts the circumplex, one sentence each; empty where nothing does.

    Compared are samples that are predicted or labelled as Happiness or Sadness: their mean true
    valence is below or above 0, by more than two standard errors of at least ten samples.
    """
    p = predictions
    if "valence" not in p.space.dimensions:
        return []
    valence = p.affect[:, p.space.dimensions.index("valence")]
    sides = {"predicted": p.category_pred, "labelled": p.category}
    return [
        f"the {n} samples {side} as {name} have a mean true valence of {mean:+.2f}"
        for side, categories in sides.items()
        if categories is not None
        for name, n, mean in _contradicting(p.space.categories, categories, valence)
    ]


def _contradicting(
    names: tuple[str, ...], categories: Categories, valence: npt.NDArray[np.float64]
) -> Iterator[tuple[str, int, float]]:
    for name, sign in _SIGNS.items():
        if name not in names:
            continue
        k = names.index(name)
        chosen = categories == k if categories.ndim == 1 else categories[:, k]
        values = valence[chosen & ~np.isnan(valence)]
        if len(values) < _FEWEST:
            continue
        error = values.std(ddof=1) / np.sqrt(len(values))
        if sign * values.mean() < -_STANDARD_ERRORS * error:
            yield name, len(values), float(values.mean())
