"""Scores while a model trains, by torchmetrics: they choose the epoch and draw the curves.

They are accumulated batch by batch on the device and combined over all ranks, once per epoch, and
need a state of fixed size or one that ranks can join. What is reported of a finished model comes
from `cage_lightning.scores` instead, which reads the prediction file and gives intervals too: for
these it needs every score as a function of the weights of the samples, which torchmetrics does not
offer, and it needs no torch. A test holds both equal on every key of this room.

A metric that chooses the epoch (``monitor.metric=val/<key>``, with ``monitor.mode=max`` unless
smaller is better) is an entry in `confusion_scores`, or a metric of torchmetrics in `AffectScores`;
and the same key in `scores`, so that the epoch is chosen by a number that is reported. A metric
that is only reported is in `scores` alone.
"""

from __future__ import annotations

from cage_lightning.metrics.collection import ExpressionMetrics

__all__ = ["ExpressionMetrics"]
