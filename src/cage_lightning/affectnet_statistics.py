"""The training split of AffectNet (release of 2021) in aggregate, known without a licence.

It is read by the data card, by the drawn faces, and by the baselines of a prediction file that
does not hold the statistics of its own training split.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class CategoryStatistics(NamedTuple):
    """Training samples of a category, and the mean valence and arousal of those."""

    samples: int
    valence: float
    arousal: float


AFFECTNET_TRAINING: Mapping[str, CategoryStatistics] = MappingProxyType(
    {
        "Neutral": CategoryStatistics(74_874, -0.0593, -0.0177),
        "Happiness": CategoryStatistics(134_415, 0.6647, 0.0713),
        "Sadness": CategoryStatistics(25_459, -0.6371, -0.2567),
        "Surprise": CategoryStatistics(14_090, 0.1810, 0.6895),
        "Fear": CategoryStatistics(6_378, -0.1261, 0.7663),
        "Disgust": CategoryStatistics(3_803, -0.6934, 0.4580),
        "Anger": CategoryStatistics(24_882, -0.4526, 0.5672),
        "Contempt": CategoryStatistics(3_750, -0.5145, 0.5844),
    }
)
"""By category, in the order of `labels.AFFECTNET_8`."""

SOURCE = (
    f"AffectNet, {sum(row.samples for row in AFFECTNET_TRAINING.values()):,} training samples: "
    "counts and class means from the valence-arousal histograms in armand-07/emotion_recognition, "
    "data_exploration_interim_AffectNet.ipynb"
)
"""Where the statistics come from."""
