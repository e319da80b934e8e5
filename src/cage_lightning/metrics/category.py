"""Scores of the categories while a model trains, in float64 and equal to scikit-learn's."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_average_precision


def confusion_scores(confusion: Tensor) -> dict[str, float]:
    """Accuracy, and precision, recall and F1 averaged over the categories.

    ``weighted`` averages by the number of true samples of a category, so that weighted recall is
    the accuracy. ``macro`` is the plain mean over the categories that occur among the targets or
    the predictions, which is scikit-learn's default. A ratio 0/0 counts as 0.

    >>> scores = confusion_scores(torch.tensor([[3, 1], [0, 4]]))
    >>> scores["accuracy"], scores["precision_macro"], scores["recall_macro"]
    (0.875, 0.9, 0.875)

    Args:
        confusion: int64 ``[K, K]``, counts by true category (row) and predicted one (column).

    Returns:
        ``accuracy`` and ``{precision,recall,f1}_{weighted,macro}`` in [0, 1]; empty if there is no
        sample.
    """
    if not confusion.any():
        return {}
    counts = confusion.double()
    hits, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    by_category = {
        "precision": hits / predicted.clamp(min=1),
        "recall": hits / true.clamp(min=1),
        "f1": 2 * hits / (true + predicted).clamp(min=1),
    }
    weights = {"weighted": true, "macro": (true + predicted > 0).double()}
    scores = {"accuracy": float(hits.sum() / counts.sum())}
    for average, weight in weights.items():
        for name, values in by_category.items():
            scores[f"{name}_{average}"] = float(weight @ values / weight.sum())
    return scores


def mean_average_precision(scores: Tensor, targets: Tensor) -> dict[str, float]:
    """Mean over the categories of the average precision, the area under precision over recall.

    Categories that apply to no sample have no average precision and are left out.

    >>> mean_average_precision(torch.tensor([[0.9], [0.8], [0.1]]), torch.tensor([[1], [0], [1]]))
    {'map': 0.83333...}

    Args:
        scores: float ``[N, K]``, higher means more likely; only the order within a column counts.
        targets: ``[N, K]``, 1 where the category applies and 0 elsewhere.

    Returns:
        ``map`` in [0, 1]; empty if no category applies to any sample.
    """
    occurs = targets.any(0)
    if not occurs.any():
        return {}
    # Ranks instead of scores: torchmetrics puts scores outside [0, 1] through a sigmoid, whose
    # rounding breaks ties. On the CPU, as the cumulative sum is not deterministic on CUDA.
    rank = torch.unique(scores[:, occurs].cpu(), return_inverse=True)[1].double()
    ranks, truth = (rank / rank.max().clamp(min=1)).T, targets[:, occurs].cpu().long().T
    # One by one: torchmetrics' function of several categories refuses a single one.
    values = [binary_average_precision(*pair) for pair in zip(ranks, truth, strict=True)]
    return {"map": float(torch.stack(values).mean())}
