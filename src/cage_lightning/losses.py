"""What is minimised: the losses of the paper, one for each mode.

A loss is a module of PyTorch that maps a `Prediction` and a `Batch` to scalars: ``loss`` and its
named parts. Its statistics are those of the global batch: under a process group every rank gets the
same values, and the gradients that DistributedDataParallel averages are those of one process with
the whole batch (`global_sum`). All arithmetic is in float32 at least, also under autocast.

Affect values that are NaN are not annotated and are left out, dimension by dimension. What no
sample defines is 0 with zero gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cage_lightning.errors import ConfigError, check_between, check_not_negative
from cage_lightning.labels import Batch, Prediction
from cage_lightning.metrics.affect import concordance
from cage_lightning.system.distributed import global_sum


class DiscreteLoss(nn.Module):
    """Cross-entropy of the categories (section 4.1 of the paper).

    For one category per sample (int64) it is the weighted cross-entropy, the sum of w_y CE divided
    by the sum of w_y. For any number of categories (float multi-hot) it is the binary cross-entropy
    with the weights on the positive labels, as the mean over samples and categories.

    For the shares t of the categories (float, rows sum to 1) it is the weighted cross-entropy too:
    the sum of w_k t_k (-log p_k) over samples and categories divided by the sum of w_k t_k, which
    is the first formula where a row is one category. Samples without a category (-1, or a row of
    zeros) are left out.

    With label smoothing e (Szegedy et al. 2016), the shares t become (1 - e) t + e / K in the sum
    that is divided, as in PyTorch; the divisor is that of the labels themselves. A multi-hot label,
    of two outcomes, becomes (1 - e) t + e / 2. Both hold in training alone: the loss of a
    validation, which chooses the epoch, is that of the labels as they are.

    Args:
        class_weights: One weight per category, or None for weights of 1.
        soft_labels: Whether categories given as floats are shares, and not multi-hot.
        label_smoothing: e, between 0 and 1.

    Raises:
        ConfigError: `label_smoothing` is out of range.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        soft_labels: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        check_between("loss.label_smoothing", label_smoothing, 0, 1)
        self.soft_labels = soft_labels
        self.label_smoothing = label_smoothing
        weights = None if class_weights is None else torch.tensor([float(w) for w in class_weights])
        # The weights belong to the config and not to the state, so no checkpoint contains them.
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss``, and the same value as ``cross_entropy`` (one category) or ``bce``.

        Raises:
            ConfigError: The number of class weights is not the number of categories.
        """
        assert prediction.logits is not None, "the loss of the categories needs logits"
        logits = _at_least_float32(prediction.logits)
        weights = self._weights(logits)
        category = batch.category
        smoothing = self.label_smoothing if self.training else 0.0
        if category.is_floating_point() and not self.soft_labels:
            target = batch.category.to(logits.dtype)
            total = F.binary_cross_entropy_with_logits(
                logits,
                (1 - smoothing) * target + smoothing / 2,
                pos_weight=weights,
                reduction="sum",
            )
            value = _global_mean(total, logits.new_tensor(target.numel()))
            return {"loss": value, "bce": value}
        if category.is_floating_point():
            category = category.to(logits.dtype)
            uniform = category.sum(1, keepdim=True) / category.shape[1]  # 0 where not annotated
            target = (1 - smoothing) * category + smoothing * uniform
            total = F.cross_entropy(logits, target, weight=weights, reduction="sum")
            value = _global_mean(total, (weights * category).sum())
        else:
            total = F.cross_entropy(
                logits,
                category,
                weight=weights,
                reduction="sum",
                ignore_index=-1,
                label_smoothing=smoothing,
            )
            value = _global_mean(total, (weights[category] * (category >= 0)).sum())
        return {"loss": value, "cross_entropy": value}

    def _weights(self, logits: Tensor) -> Tensor:
        if self.class_weights is None:
            return logits.new_ones(logits.shape[1])
        if len(self.class_weights) != logits.shape[1]:
            raise ConfigError(
                f"{len(self.class_weights)} class weights for {logits.shape[1]} categories: "
                "give one weight per category of the data set, in its order"
            )
        return self.class_weights.to(logits.dtype)


class CombinedLoss(nn.Module):
    """Loss of categories and affect: discrete loss + alpha * MSE (equation 1 of the paper).

    The MSE is the mean over all annotated values, that is over samples and dimensions.

    Args:
        class_weights: As in `DiscreteLoss`.
        alpha: Weight of the MSE; 5 in Table 5.
        soft_labels: As in `DiscreteLoss`.
        label_smoothing: As in `DiscreteLoss`; the affect stays as it is.

    Raises:
        ConfigError: A weight is negative, or `label_smoothing` is out of range.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        alpha: float = 5.0,
        soft_labels: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.discrete = DiscreteLoss(class_weights, soft_labels, label_smoothing)
        check_not_negative("loss.alpha", alpha)
        self.alpha = alpha

    def forward(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss`` and its parts ``mse`` and ``cross_entropy`` or ``bce``.

        Raises:
            ConfigError: As in `DiscreteLoss`.
        """
        parts = self.discrete(prediction, batch)
        labelled, x, y = _labelled(prediction, batch)
        mse = _global_mean((x - y).square().sum(), labelled.sum())
        return {**parts, "loss": parts["loss"] + self.alpha * mse, "mse": mse}


class ValenceArousalLoss(nn.Module):
    """Loss of affect: the sum over the dimensions of beta * MSE - gamma * CCC (eq. 2 of the paper).

    This is the form of the published code. The paper prints L_CCC = 1 - CCC, which differs from
    -CCC by a constant and has the same gradient; here the minimum is -gamma * D for D dimensions.
    The CCC uses unbiased moments, and is computed over the batch, not over the data set.

    Args:
        beta: Weight of the MSE; 3 in Table 5.
        gamma: Weight of the CCC; 1 in equation 2, 0 leaves the MSE alone.

    Raises:
        ConfigError: A weight is negative.
    """

    def __init__(self, beta: float = 3.0, gamma: float = 1.0) -> None:
        super().__init__()
        check_not_negative("loss.beta", beta)
        check_not_negative("loss.gamma", gamma)
        self.beta = beta
        self.gamma = gamma

    def forward(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss`` = D (beta ``mse`` - gamma ``ccc``), and both parts as means over D."""
        labelled, x, y = _labelled(prediction, batch)
        n, sum_x, sum_y, squared = global_sum(
            torch.stack([labelled, x, y, (x - y).square()]).sum(1)
        )
        pairs = n.clamp(min=1)
        mean_x, mean_y = sum_x / pairs, sum_y / pairs
        # The sums of squares are taken about the means, since raw ones would cancel in float32.
        dx, dy = labelled * (x - mean_x), labelled * (y - mean_y)
        xx, yy, xy = global_sum(torch.stack([dx * dx, dy * dy, dx * dy]).sum(1))
        ccc = torch.where(n > 0, concordance(n, mean_x - mean_y, xx, yy, xy), 0.0)
        mse = squared / pairs
        loss = (self.beta * mse - self.gamma * ccc).sum()
        return {"loss": loss, "mse": mse.mean(), "ccc": ccc.mean()}


def _labelled(prediction: Prediction, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return mask (1 where annotated), predictions and targets (0 where not), each ``[B, D]``."""
    assert prediction.affect is not None, "the loss of the affect needs affect values"
    x = _at_least_float32(prediction.affect)
    y = batch.affect.to(x.dtype)
    labelled = ~y.isnan()
    return labelled.to(x.dtype), torch.where(labelled, x, 0.0), torch.where(labelled, y, 0.0)


def _global_mean(total: Tensor, weight: Tensor) -> Tensor:
    """Return the quotient of two sums over the global batch; 0 if the weight is 0."""
    total, weight = global_sum(torch.stack([total, weight]))
    return total / torch.where(weight > 0, weight, 1.0)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
