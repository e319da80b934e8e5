"""Affect alone."""

from __future__ import annotations

from torch import Tensor

from cage_lightning.labels import LabelSpace, Prediction
from cage_lightning.modules.base import ExpressionModule


class ValenceArousalModule(ExpressionModule):
    """Outputs one value per affect dimension (section 4.1)."""

    predicts_categories = False
    predicts_affect = True

    @staticmethod
    def num_outputs(space: LabelSpace) -> int:
        """D dimensions."""
        return len(space.dimensions)

    def read(self, outputs: Tensor) -> Prediction:
        """Affect ``[B, D]``."""
        return Prediction(logits=None, affect=outputs)
