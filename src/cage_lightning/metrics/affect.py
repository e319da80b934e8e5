"""Scores of the continuous affect dimensions while a model trains, by torchmetrics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torchmetrics import (
    ConcordanceCorrCoef,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
)

POOLED, MEAN = "pooled", "mean"


def concordance(n: Tensor, mean_difference: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """Concordance correlation coefficient, 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2).

    The second moments are the unbiased ones (divided by n - 1), as in torchmetrics. Where the
    quotient is 0/0 all predictions and targets are one and the same number, so it is 1. A single
    pair has no spread: its coefficient is 0, unless both are equal.

    >>> x, y = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.0, 0.5, 0.7])
    >>> dx, dy = x - x.mean(), y - y.mean()
    >>> moments = ((dx * dx).sum(), (dy * dy).sum(), (dx * dy).sum())
    >>> round(float(concordance(torch.tensor(3), x.mean() - y.mean(), *moments)), 4)
    0.8974

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


class Concordance(ConcordanceCorrCoef):
    """Torchmetrics' coefficient, defined also where one side does not vary.

    Torchmetrics goes through the correlation, which is 0/0 there, and gives NaN.
    """

    def compute(self) -> Tensor:
        """The coefficient of all pairs over all ranks; NaN only when a prediction is NaN."""
        # One entry per rank; a rank without pairs has n = 0.
        n, mean_x, mean_y, xx, yy, xy = (
            state.reshape(-1)
            for state in (
                self.n_total,
                self.mean_x,
                self.mean_y,
                self.var_x,
                self.var_y,
                self.corr_xy,
            )
        )
        x, y = ((n * mean).sum() / n.sum() for mean in (mean_x, mean_y))
        dx, dy = mean_x - x, mean_y - y
        return concordance(
            n.sum(),
            x - y,
            (xx + n * dx * dx).sum(),
            (yy + n * dy * dy).sum(),
            (xy + n * dx * dy).sum(),
        )


class AffectScores(Metric):
    """MSE, MAE, RMSE and CCC of each dimension, and of all of them pooled.

    ``pooled`` scores treat the values of all dimensions as one vector, which is the definition
    behind Table 6 of the paper. A pooled CCC therefore also rewards knowing that the dimensions
    have different means. ``ccc_mean`` is the mean over the dimensions of their CCC
    (`scores.AffectScorer` names its source). Accumulated in float64; pairs whose target is NaN are
    left out.

    Args:
        dimensions: Names of the D dimensions.
    """

    full_state_update = False
    pairs: Tensor

    def __init__(self, dimensions: Sequence[str]) -> None:
        super().__init__()
        self.names = (*dimensions, POOLED)
        self.add_state("pairs", torch.zeros(len(self.names)), dist_reduce_fx="sum")
        scores: dict[str, Callable[[], Metric]] = {
            "mse": MeanSquaredError,
            "mae": MeanAbsoluteError,
            "rmse": partial(MeanSquaredError, squared=False),
            "ccc": Concordance,
        }
        self.columns = nn.ModuleList(
            nn.ModuleDict({k: make().set_dtype(torch.float64) for k, make in scores.items()})
            for _ in self.names
        )

    @property
    def update_called(self) -> bool:
        """Always true: no pair is a valid state, `compute` then need not warn."""
        return True

    def update(self, x: Tensor, y: Tensor) -> None:
        """Add pairs.

        Args:
            x: Predictions ``[B, D]``.
            y: Targets ``[B, D]``, NaN where not annotated.
        """
        x, y = x.double(), y.double()
        counts = []
        for column, xs, ys in zip(
            self._columns(), (*x.T, x.flatten()), (*y.T, y.flatten()), strict=True
        ):
            labelled = ~ys.isnan()
            counts.append(labelled.sum())
            if counts[-1]:
                for metric in column.values():
                    metric.update(xs[labelled], ys[labelled])
        self.pairs = self.pairs + torch.stack(counts)

    def compute(self) -> dict[str, float]:
        """``{mse,mae,rmse,ccc}_{<dimension>,pooled}`` and ``ccc_mean``.

        Those that lack labelled pairs are left out.
        """
        scores: dict[str, float] = {}
        for name, column, pairs in zip(self.names, self._columns(), self.pairs, strict=True):
            with warnings.catch_warnings():
                # A rank without pairs takes part; what it lacks comes from the others.
                warnings.filterwarnings("ignore", ".*was called before the ``update`` method")
                values = {k: float(metric.compute()) for k, metric in column.items()}
            if pairs:
                scores |= {f"{k}_{name}": value for k, value in values.items()}
        if self.pairs[:-1].all():
            by_dimension = [scores[f"ccc_{name}"] for name in self.names[:-1]]
            scores[f"ccc_{MEAN}"] = sum(by_dimension) / len(by_dimension)
        return scores

    def reset(self) -> None:
        """Forget all pairs."""
        super().reset()
        for column in self._columns():
            for metric in column.values():
                metric.reset()

    def _columns(self) -> list[dict[str, Metric]]:
        return [dict(column.items()) for column in self.columns]  # type: ignore[operator]
