"""The concordance within each video, for data whose samples are frames."""

from __future__ import annotations

import numpy as np

from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.scores.affect import AffectScorer

VIDEO = "video"
"""The column of `Predictions.groups` that names the video of a frame."""
N_VIDEOS, N_UNSCORED = "n_videos", "n_videos_unscored"


class VideoScorer:
    """The mean over videos of the concordance of the frames within each.

    For each affect dimension ``ccc_<dimension>_per_video`` = mean of CCC_v over the videos v, where
    CCC_v is ``ccc`` (`AffectScorer`) of the annotated frames of v. Videos with fewer than two of
    them are left out, and so are frames that name no video. ``n_videos`` counts the videos;
    ``n_videos_unscored`` those that are left out in at least one dimension.

    Attributes:
        count: The number of videos, V; 0 where the file names none, or predicts no affect.

    Args:
        predictions: The file.
    """

    def __init__(self, predictions: Predictions) -> None:
        self._dimensions = predictions.space.dimensions
        names = predictions.groups.get(VIDEO, np.full(len(predictions), ""))
        rows = np.flatnonzero(names != "")
        if predictions.affect_pred is None:
            rows = rows[:0]
        videos, video = np.unique(names[rows], return_inverse=True)
        self.count = len(videos)
        self._ccc = np.full((self.count, len(self._dimensions)), np.nan)
        if self.count:
            scorer = AffectScorer(predictions.select(rows))
            self._ccc = scorer.within(video, self.count)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Scores ``[R]``, NaN where undefined, for weights of the videos ``[R, V]``."""
        if not self.count:
            return {}
        known = ~np.isnan(self._ccc)
        n = weights @ known
        with np.errstate(invalid="ignore"):
            mean = (weights @ np.where(known, self._ccc, 0)) / n
        scores = {f"ccc_{name}_per_video": mean[:, d] for d, name in enumerate(self._dimensions)}
        scores[N_VIDEOS] = weights.sum(axis=1)
        scores[N_UNSCORED] = weights @ (~known).any(axis=1)
        return scores
