"""A category alone."""

from __future__ import annotations

from cage_lightning.modules.base import ExpressionModule


class DiscreteModule(ExpressionModule):
    """Outputs one logit per category (section 4.1)."""

    predicts_categories = True
    predicts_affect = False
