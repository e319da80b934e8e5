"""The scores of a data set while a model trains, accumulated batch by batch and over ranks."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import multiclass_confusion_matrix
from torchmetrics.utilities import dim_zero_cat

from cage_lightning.errors import DataError
from cage_lightning.labels import Batch, LabelSpace, Prediction
from cage_lightning.metrics.affect import AffectScores
from cage_lightning.metrics.category import confusion_scores, mean_average_precision


class ExpressionMetrics(Metric):
    """Scores of categories, affect dimensions or both over a whole data set.

    The result does not depend on how the samples are split into batches and ranks, provided each
    one is seen exactly once. All statistics that enter a quotient are float64 or integer. Ranks
    without a single sample take part like any other.

    `compute` returns these keys:

    - ``n``, samples seen;
    - one category each: ``accuracy``, ``{precision,recall,f1}_{weighted,macro}``
      (`confusion_scores`);
    - any number of categories: ``map`` (`mean_average_precision`);
    - affect: ``{mse,mae,rmse,ccc}_{<dimension>,pooled}`` and ``ccc_mean`` (`AffectScores`),
      and ``n_unlabelled_affect``, samples that lack the label of at least one dimension.

    A score that no sample defines is absent, never NaN. A NaN among the values predicted for
    labelled samples does show up as NaN: the model diverged.

    Args:
        label_space: The categories and dimensions of the data.
        categories: Whether the predictions hold logits to score.
        affect: Whether the predictions hold affect values to score.
    """

    full_state_update = False
    is_differentiable = False

    n: Tensor
    n_unlabelled_affect: Tensor
    confusion: Tensor
    scores: list[Tensor]
    targets: list[Tensor]

    def __init__(self, label_space: LabelSpace, categories: bool, affect: bool) -> None:
        super().__init__()
        self.label_space = label_space
        self.multi_label = categories and label_space.multi_label
        self.single_label = categories and not label_space.multi_label
        self.affect = affect
        k = len(label_space.categories)
        self.add_state("n", torch.tensor(0), dist_reduce_fx="sum")
        if self.single_label:
            self.add_state("confusion", torch.zeros(k, k, dtype=torch.int64), dist_reduce_fx="sum")
        if self.multi_label:
            # Flat and of the metric's own dtype, like the stand-in for a rank without samples.
            self.add_state("scores", [], dist_reduce_fx="cat")
            self.add_state("targets", [], dist_reduce_fx="cat")
        if affect:
            self.add_state("n_unlabelled_affect", torch.tensor(0), dist_reduce_fx="sum")
            self.affect_scores = AffectScores(label_space.dimensions)

    @property
    def update_called(self) -> bool:
        """Always true: no sample is a valid state, `compute` then need not warn."""
        return True

    def update(self, prediction: Prediction, batch: Batch) -> None:
        """Add the samples of a batch.

        Raises:
            DataError: A category lies outside the label space.
        """
        self.n = self.n + len(batch.category)
        if self.single_label:
            assert prediction.logits is not None, "scoring categories needs logits"
            k = len(self.label_space.categories)
            if not ((batch.category >= -1) & (batch.category < k)).all():
                raise DataError(
                    f"A category lies outside the {k} of {self.label_space.name}; "
                    "check which data set the labels come from."
                )
            self.confusion = self.confusion + multiclass_confusion_matrix(
                prediction.logits.argmax(1),
                batch.category,
                k,
                ignore_index=-1,  # not annotated
                validate_args=False,
            )
        if self.multi_label:
            assert prediction.logits is not None, "scoring categories needs logits"
            self.scores.append(prediction.logits.flatten().to(self.dtype))
            self.targets.append(batch.category.flatten().to(self.dtype))
        if self.affect:
            assert prediction.affect is not None, "scoring affect needs affect values"
            unlabelled = batch.affect.isnan().any(1).sum()
            self.n_unlabelled_affect = self.n_unlabelled_affect + unlabelled
            self.affect_scores.update(prediction.affect, batch.affect)

    def compute(self) -> dict[str, float]:
        """Scores of all samples since the last `reset`, over all ranks."""
        values: dict[str, float] = {"n": int(self.n)}
        if self.single_label:
            values |= confusion_scores(self.confusion)
        if self.multi_label and self.n:
            scores, targets = (
                dim_zero_cat(flat).reshape(int(self.n), -1) for flat in (self.scores, self.targets)
            )
            values |= mean_average_precision(scores, targets)
        if self.affect:
            values["n_unlabelled_affect"] = int(self.n_unlabelled_affect)
            values |= self.affect_scores.compute()
        return values

    def reset(self) -> None:
        """Forget all samples."""
        super().reset()
        if self.affect:
            self.affect_scores.reset()
