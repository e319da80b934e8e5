"""Affect alone."""

from __future__ import annotations

from cage_lightning.modules.base import ExpressionModule


class ValenceArousalModule(ExpressionModule):
    """Outputs one value per affect dimension (section 4.1)."""

    predicts_categories = False
    predicts_affect = True
