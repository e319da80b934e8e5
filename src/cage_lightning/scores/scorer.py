"""All scores of a prediction file, as a function of the weights of its samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.scores import affect, category, videos
from cage_lightning.scores.affect import AffectScorer
from cage_lightning.scores.category import CategoryScorer
from cage_lightning.scores.multilabel import MultiLabelScorer

# Numbers of samples: they are among the scores, and have no interval.
COUNTS = ("n", affect.UNLABELLED, category.UNLABELLED, videos.N_VIDEOS, videos.N_UNSCORED)


class Scorer:
    """The scores of a prediction file for any weights of its samples.

    A weight of 2 is the same as having the sample twice, a weight of 0 as not having it. The keys
    are ``n``, the sum of the weights, and those of `CategoryScorer` (one category each),
    `MultiLabelScorer` (any number of categories) and `AffectScorer`, as far as the file has what
    they need. They equal those of `metrics.ExpressionMetrics` where both have them.

    Args:
        predictions: The file.

    Raises:
        DataError: A predicted value is not finite.
    """

    def __init__(self, predictions: Predictions) -> None:
        self._scorers: list[Callable[[Floats], dict[str, Floats]]] = []
        if predictions.category is not None:
            if predictions.space.multi_label:
                if predictions.probability is not None:
                    self._scorers.append(MultiLabelScorer(predictions))
            elif predictions.category_pred is not None:
                self._scorers.append(CategoryScorer(predictions))
        if predictions.affect_pred is not None:
            self._scorers.append(AffectScorer(predictions))

    def __call__(self, weights: npt.ArrayLike) -> dict[str, Floats]:
        """Score.

        Args:
            weights: Not negative, ``[R, N]``: R choices of a weight for each sample.

        Returns:
            Float64 ``[R]`` for each key, NaN where the weighted samples do not define the score.
        """
        weights = np.asarray(weights, np.float64)
        scores = {"n": weights.sum(axis=1)}
        for scorer in self._scorers:
            scores |= scorer(weights)
        return scores


def point_estimate(predictions: Predictions) -> dict[str, float]:
    """The scores of a file, each sample counted once; those that no sample defines are absent.

    They are those of `Scorer`, and of `VideoScorer` where the samples are frames.
    """
    by_video = videos.VideoScorer(predictions)
    of_samples = Scorer(predictions)(np.ones((1, len(predictions))))
    of_videos = by_video(np.ones((1, by_video.count)))
    scores = {k: float(v[0]) for k, v in (of_samples | of_videos).items()}
    return {k: int(v) if k in COUNTS else v for k, v in scores.items() if not np.isnan(v)}
