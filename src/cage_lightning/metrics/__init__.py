"""What is reported: scores of the categories and of the affect dimensions."""

from __future__ import annotations

from cage_lightning.metrics.collection import ExpressionMetrics

__all__ = ["ExpressionMetrics"]
