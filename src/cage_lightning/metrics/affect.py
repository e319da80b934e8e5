"""Scores of the continuous affect dimensions, and the statistics they come from.

A column of statistics describes the pairs (prediction x, target y) of one dimension::

    n, mean of x, mean of y, sum (x-mean)^2, sum (y-mean)^2, sum (x-mean)(y-mean), sum (x-y)^2,
    sum |x-y|

Sums about the mean keep their accuracy where a difference of raw sums of squares would not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

N_STATISTICS = 8


def concordance(n: Tensor, mean_difference: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """Concordance correlation coefficient, 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2).

    The second moments are the unbiased ones (divided by n - 1), as in torchmetrics. Where the
    quotient is 0/0 all predictions and targets are one and the same number, so it is 1. A single
    pair has no spread: its coefficient is 0, unless both are equal.

    Args:
        n: Number of pairs, any shape.
        mean_difference: m_x - m_y, same shape as all the following.
        xx: Sum of (x - m_x)^2.
        yy: Sum of (y - m_y)^2.
        xy: Sum of (x - m_x)(y - m_y).

    Returns:
        Values in [-1, 1], differentiable with finite gradients.
    """
    denominator = xx + yy + (n - 1).clamp(min=1) * mean_difference.square()
    coincide = denominator <= torch.finfo(denominator.dtype).tiny
    # The inner `where` keeps the gradient of the branch not taken from being 0 * inf.
    return torch.where(coincide, 1.0, 2 * xy / torch.where(coincide, 1.0, denominator))


def affect_statistics(x: Tensor, y: Tensor) -> Tensor:
    """Statistics of one batch; pairs whose target is NaN are left out.

    Args:
        x: Predictions ``[B, D]``.
        y: Targets ``[B, D]``, NaN where not annotated.

    Returns:
        float64 ``[N_STATISTICS, D]``.
    """
    labelled = ~y.isnan()
    x, y = (torch.where(labelled, values.double(), 0.0) for values in (x, y))
    n = labelled.sum(0).double()
    mean_x, mean_y = (values.sum(0) / n.clamp(min=1) for values in (x, y))
    dx, dy = labelled * (x - mean_x), labelled * (y - mean_y)
    error = x - y
    sums = torch.stack([dx * dx, dy * dy, dx * dy, error.square(), error.abs()]).sum(1)
    return torch.cat([torch.stack([n, mean_x, mean_y]), sums])


def merge(parts: Tensor) -> Tensor:
    """Statistics of the union of disjoint sets of pairs (batches, ranks or dimensions).

    Args:
        parts: float64 ``[P, N_STATISTICS, D]``; a part without pairs is all zeros.

    Returns:
        float64 ``[N_STATISTICS, D]``.
    """
    n, mean_x, mean_y = parts[:, :3].unbind(1)
    total = n.sum(0)
    x, y = ((n * mean).sum(0) / total.clamp(min=1) for mean in (mean_x, mean_y))
    dx, dy = mean_x - x, mean_y - y
    between = torch.stack([n * dx * dx, n * dy * dy, n * dx * dy]).sum(1)
    within = parts[:, 3:].sum(0)
    return torch.cat([torch.stack([total, x, y]), within[:3] + between, within[3:]])


def affect_scores(statistics: Tensor, dimensions: Sequence[str]) -> dict[str, float]:
    """MSE, MAE, RMSE and CCC of each dimension, and of all of them pooled.

    ``pooled`` scores treat the values of all dimensions as one vector, which is the definition
    behind Table 6 of the paper. A pooled CCC therefore also rewards knowing that the dimensions
    have different means.

    Args:
        statistics: float64 ``[N_STATISTICS, D]``.
        dimensions: Names of the D dimensions.

    Returns:
        ``{mse,mae,rmse,ccc}_{<dimension>,pooled}``, without those that have no labelled sample.
    """
    pooled = merge(statistics.T.unsqueeze(-1))
    columns = torch.cat([statistics, pooled], dim=1)
    n, mean_x, mean_y, xx, yy, xy, squared, absolute = columns
    pairs = n.clamp(min=1)
    mse = squared / pairs
    values = {
        "mse": mse,
        "mae": absolute / pairs,
        "rmse": mse.sqrt(),
        "ccc": concordance(n, mean_x - mean_y, xx, yy, xy),
    }
    return {
        f"{score}_{name}": float(by_column[column])
        for column, name in enumerate([*dimensions, "pooled"])
        if n[column] > 0
        for score, by_column in values.items()
    }
