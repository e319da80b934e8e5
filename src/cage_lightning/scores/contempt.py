"""AffectNet-7 by a model for AffectNet-8."""

from __future__ import annotations

from dataclasses import replace

from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8
from cage_lightning.predictions.table import Predictions
from cage_lightning.scores.ratio import ratio


def without_contempt(predictions: Predictions) -> Predictions | None:
    """Predictions for AffectNet-8 as ones for AffectNet-7, as is customary for such models.

    Pictures of Contempt are left out, and of the other seven categories the most probable one is
    the predicted one. That is not the same as a model that was trained on seven categories.

    Returns:
        None where that is not possible: another label space, no true categories, categories without
        probabilities, or pictures of nothing else.
    """
    p, k = predictions, len(AFFECTNET_7.categories)
    if p.space != AFFECTNET_8 or p.category is None:
        return None
    if p.category_pred is not None and p.probability is None:
        return None
    kept = p.select(p.category < k)
    if not len(kept):
        return None
    training = p.training
    kept = replace(
        kept,
        space=AFFECTNET_7,
        training=None if training is None else training.select(range(k), range(2)),
    )
    if kept.probability is None:
        return kept
    seven = kept.probability[:, :k]
    seven = ratio(seven, seven.sum(axis=1, keepdims=True), 1 / k)
    chosen = None if kept.category_pred is None else seven.argmax(axis=1)
    return replace(kept, probability=seven, category_pred=chosen)
