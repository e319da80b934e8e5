"""A category and affect."""

from __future__ import annotations

from torch import Tensor

from cage_lightning.labels import LabelSpace, Prediction
from cage_lightning.modules.base import ExpressionModule


class CombinedModule(ExpressionModule):
    """Outputs one logit per category, then one value per affect dimension (section 4.1)."""

    predicts_categories = True
    predicts_affect = True

    @staticmethod
    def num_outputs(space: LabelSpace) -> int:
        """K categories and D dimensions."""
        return len(space.categories) + len(space.dimensions)

    def read(self, outputs: Tensor) -> Prediction:
        """Logits ``[B, K]`` and affect ``[B, D]``."""
        k = len(self.label_space.categories)
        return Prediction(logits=outputs[:, :k], affect=outputs[:, k:])
