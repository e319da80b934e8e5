"""What a model said about every sample of a split, next to the truth, and where it learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.labels import LabelSpace

Floats = npt.NDArray[np.float64]
# One category of each sample, int64 [N], or whether each applies, bool [N, K].
Categories = npt.NDArray[np.int64] | npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingStatistics:
    """What predictors that never look at a picture need to know of a training split.

    Attributes:
        source: Where the numbers come from.
        n: Number of samples.
        counts: Samples of each category, ``[K]``.
        affect: Mean of each affect dimension, ``[D]``, in [-1, 1]; None where nothing is annotated.
        affect_by_category: The same of the samples of each category, ``[K][D]``.
    """

    source: str
    n: int
    counts: Sequence[int]
    affect: Sequence[float | None]
    affect_by_category: Sequence[Sequence[float | None]]

    def select(self, categories: Sequence[int], dimensions: Sequence[int]) -> TrainingStatistics:
        """Only some categories and dimensions, by number, in the given order.

        The means over all samples stay those of the whole training split.
        """
        return TrainingStatistics(
            source=self.source,
            n=self.n,
            counts=[self.counts[k] for k in categories],
            affect=[self.affect[d] for d in dimensions],
            affect_by_category=[
                [self.affect_by_category[k][d] for d in dimensions] for k in categories
            ],
        )


@dataclass(frozen=True, eq=False)
class Predictions:
    """A prediction file in memory.

    Attributes:
        space: What the columns mean.
        id: str ``[N]``.
        category: True categories: int64 ``[N]``, or bool ``[N, K]`` where several may apply; None
            in a file without.
        affect: True affect, float64 ``[N, D]`` in [-1, 1], NaN where not annotated.
        category_pred: Like `category`; None for a model without categories.
        probability: float64 ``[N, K]`` of the categories; None if the file does not have it.
        affect_pred: float64 ``[N, D]``, not bounded; None for a model without affect.
        training: Of the training split of the model; None if unknown.
    """

    space: LabelSpace
    id: npt.NDArray[np.str_]
    category: Categories | None
    affect: Floats
    category_pred: Categories | None
    probability: Floats | None
    affect_pred: Floats | None
    training: TrainingStatistics | None = None

    def __len__(self) -> int:
        return len(self.id)

    def select(self, rows: npt.NDArray[Any]) -> Predictions:
        """The given rows: numbers ``[M]``, or a mask ``[N]``."""
        columns = {
            name: None if (column := getattr(self, name)) is None else column[rows]
            for name in ("id", "category", "affect", "category_pred", "probability", "affect_pred")
        }
        return Predictions(space=self.space, training=self.training, **columns)  # type: ignore[arg-type]


def predictions_of(
    space: LabelSpace,
    ids: Sequence[str],
    category: npt.NDArray[Any],
    affect: npt.NDArray[Any],
    logits: npt.NDArray[Any] | None,
    affect_pred: npt.NDArray[Any] | None,
    training: TrainingStatistics | None = None,
) -> Predictions:
    """From what a network puts out.

    Args:
        space: The label space.
        ids: ``[N]`` sample ids.
        category: True categories, int ``[N]`` or multi-hot ``[N, K]``.
        affect: True affect ``[N, D]`` in [-1, 1], NaN where not annotated.
        logits: ``[N, K]``, or None for a model without categories.
        affect_pred: ``[N, D]``, or None for a model without affect.
        training: Of the training split of the model.
    """
    probability = chosen = None
    if logits is not None:
        probability = _probability(logits.astype(np.float64), space.multi_label)
        chosen = probability >= 0.5 if space.multi_label else probability.argmax(axis=1)
    return Predictions(
        space=space,
        id=np.array(ids, np.str_),
        category=category.astype(bool if space.multi_label else np.int64),
        affect=affect.astype(np.float64),
        category_pred=chosen,
        probability=probability,
        affect_pred=None if affect_pred is None else affect_pred.astype(np.float64),
        training=training,
    )


def _probability(logits: Floats, multi_label: bool) -> Floats:
    """Sigmoid where several categories may apply, softmax where exactly one does."""
    if multi_label:
        return np.asarray(np.exp(-np.logaddexp(0, -logits)))
    exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponent / exponent.sum(axis=1, keepdims=True))
