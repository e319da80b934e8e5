"""Scores of a finished model, from its prediction file: what is reported, with intervals.

Every score is a function of the weights of the samples. A point estimate gives each the weight 1; a
bootstrap counts how often a sample was drawn; a paired bootstrap gives two files the same weights.
NumPy and SciPy only, so that tables and figures need no torch. `cage_lightning.metrics` computes
some of the same scores while a model trains, batch by batch and over all ranks; a test holds both
equal on every key that it has.

A new score is an entry in what `CategoryScorer`, `MultiLabelScorer` or `AffectScorer` returns: an
expression of weighted sums over the samples, which the class has already or gets as a column more.
It is then in metrics.json with its interval; ``report/paper_tables.py`` names those that have a
column in a table, and ``headline.py`` those that a command prints, and gives for each subgroup.
"""

from __future__ import annotations

from cage_lightning.scores.baselines import baselines, chance
from cage_lightning.scores.bootstrap import Interval, intervals
from cage_lightning.scores.comparison import Comparison, Difference, compare
from cage_lightning.scores.contempt import without_contempt
from cage_lightning.scores.scorer import COUNTS, Scorer, point_estimate
from cage_lightning.scores.seeds import Summary, seeds_needed, sign_flip_p, summarise

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
    "seeds_needed",
    "sign_flip_p",
    "summarise",
    "without_contempt",
]
