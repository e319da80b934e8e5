"""A category and affect."""

from __future__ import annotations

from cage_lightning.modules.base import ExpressionModule


class CombinedModule(ExpressionModule):
    """Outputs one logit per category, then one value per affect dimension (section 4.1)."""

    predicts_categories = True
    predicts_affect = True
