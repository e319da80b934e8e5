"""A category alone."""

from __future__ import annotations

from torch import Tensor

from cage_lightning.labels import LabelSpace, Prediction
from cage_lightning.modules.base import ExpressionModule


class DiscreteModule(ExpressionModule):
    """Outputs one logit per category (section 4.1)."""

    predicts_categories = True
    predicts_affect = False

    @staticmethod
    def num_outputs(space: LabelSpace) -> int:
        """K categories."""
        return len(space.categories)

    def read(self, outputs: Tensor) -> Prediction:
        """Logits ``[B, K]``."""
        return Prediction(logits=outputs, affect=None)
