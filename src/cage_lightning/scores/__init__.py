"""Every score of a prediction file, as a function of the weights of its samples.

A point estimate gives every sample the weight 1; a bootstrap counts how often a sample was drawn;
a paired bootstrap gives two files the same weights. NumPy and SciPy only.
"""

from __future__ import annotations

from cage_lightning.scores.baselines import baselines, chance
from cage_lightning.scores.bootstrap import Interval, intervals
from cage_lightning.scores.comparison import Comparison, Difference, compare
from cage_lightning.scores.contempt import without_contempt
from cage_lightning.scores.scorer import COUNTS, Scorer, point_estimate
from cage_lightning.scores.seeds import Summary, summarise

__all__ = [
    "COUNTS",
    "Comparison",
    "Difference",
    "Interval",
    "Scorer",
    "Summary",
    "baselines",
    "chance",
    "compare",
    "intervals",
    "point_estimate",
    "summarise",
    "without_contempt",
]
